// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bus and the device whose ioctls reach it, made and removed together. The device has no
 * cable: what is sent to it is lost.
 *
 * Bus and device belong to one platform device, so phylib sees that the module that would use the
 * PHY also provides the bus, and takes no reference to it. So it can be unloaded in use: that
 * removes the devices first.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/version.h>

#include "labmdio.h"

static DEFINE_IDA(labmdio_numbers);

static int labmdio_bus_read(struct mii_bus *bus, int phy, int reg)
{
	struct labmdio *lab = bus->priv;

	return lab ? labmdio_chip_read(lab->chip, phy, reg) : -ENODEV;
}

static int labmdio_bus_write(struct mii_bus *bus, int phy, int reg, u16 value)
{
	struct labmdio *lab = bus->priv;

	return lab ? labmdio_chip_write(lab->chip, phy, reg, value) : -ENODEV;
}

static struct mii_bus *labmdio_bus_new(struct labmdio *lab)
{
	struct mii_bus *bus = mdiobus_alloc();
	int err;

	if (!bus)
		return ERR_PTR(-ENOMEM);
	bus->name = "labmdio";
	bus->priv = lab;
	bus->read = labmdio_bus_read;
	bus->write = labmdio_bus_write;
	bus->parent = &labmdio_platform->dev;
	/* The switch's addresses would look like PHYs. */
	bus->phy_mask = ~(1U << LABMDIO_PHY);
	snprintf(bus->id, sizeof(bus->id), "labmdio-%d", lab->number);
	err = mdiobus_register(bus);
	if (err) {
		mdiobus_free(bus);
		return ERR_PTR(err);
	}
	return bus;
}

static int labmdio_dev_init(struct net_device *dev)
{
	struct labmdio *lab = netdev_priv(dev);
	int err;

	lab->dev = dev;
	lab->driver.page = U16_MAX;
	mutex_init(&lab->lock);
	lab->chip = labmdio_chip_new();
	if (!lab->chip)
		return -ENOMEM;
	lab->number = ida_alloc(&labmdio_numbers, GFP_KERNEL);
	if (lab->number < 0) {
		err = lab->number;
		goto no_number;
	}
	lab->bus = labmdio_bus_new(lab);
	if (IS_ERR(lab->bus)) {
		err = PTR_ERR(lab->bus);
		goto no_bus;
	}
	return 0;

no_bus:
	ida_free(&labmdio_numbers, lab->number);
no_number:
	kvfree(lab->chip);
	lab->chip = NULL;
	return err;
}

/* The files of the device can still be open after this, so the chip stays until the end. */
static void labmdio_dev_uninit(struct net_device *dev)
{
	struct labmdio *lab = netdev_priv(dev);

	/* Nobody can start the thread or make an access after this. */
	mutex_lock(&lab->lock);
	lab->gone = true;
	mutex_unlock(&lab->lock);
	labmdio_driver_set_period(lab, 0);
	mdiobus_unregister(lab->bus);
	/* Who has found the bus by its name may still hold it. */
	mutex_lock(&lab->bus->mdio_lock);
	lab->bus->priv = NULL;
	mutex_unlock(&lab->bus->mdio_lock);
	mdiobus_free(lab->bus);
	ida_free(&labmdio_numbers, lab->number);
}

static void labmdio_dev_free(struct net_device *dev)
{
	struct labmdio *lab = netdev_priv(dev);

	kvfree(lab->chip);
}

/* The PHY layer tells the carrier itself. */
static void labmdio_link_changed(struct net_device *dev)
{
}

static int labmdio_open(struct net_device *dev)
{
	struct labmdio *lab = netdev_priv(dev);
	struct phy_device *phy = phy_find_first(lab->bus);
	int err;

	if (!phy)
		return -ENODEV;
	err = phy_connect_direct(dev, phy, labmdio_link_changed, PHY_INTERFACE_MODE_GMII);
	if (err)
		return err;
	phy_start(phy);
	return 0;
}

static int labmdio_stop(struct net_device *dev)
{
	phy_stop(dev->phydev);
	phy_disconnect(dev->phydev);
	return 0;
}

static int labmdio_ioctl(struct net_device *dev, struct ifreq *request, int cmd)
{
	int err = phy_do_ioctl_running(dev, request, cmd);

	labmdio_driver_between(netdev_priv(dev));
	return err;
}

static netdev_tx_t labmdio_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb_any(skb);
	DEV_STATS_INC(dev, tx_dropped);
	return NETDEV_TX_OK;
}

static const struct net_device_ops labmdio_ops = {
	.ndo_init = labmdio_dev_init,
	.ndo_uninit = labmdio_dev_uninit,
	.ndo_open = labmdio_open,
	.ndo_stop = labmdio_stop,
	.ndo_start_xmit = labmdio_xmit,
	.ndo_eth_ioctl = labmdio_ioctl,
	.ndo_set_mac_address = eth_mac_addr,
};

static const struct ethtool_ops labmdio_ethtool = {
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = phy_ethtool_get_link_ksettings,
};

static void labmdio_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &labmdio_ops;
	dev->ethtool_ops = &labmdio_ethtool;
	dev->needs_free_netdev = true;
	dev->priv_destructor = labmdio_dev_free;
}

static int labmdio_make(struct net_device *dev)
{
	SET_NETDEV_DEV(dev, &labmdio_platform->dev);
	dev->sysfs_groups[0] = &labmdio_switches;
	eth_hw_addr_random(dev);
	netif_carrier_off(dev);
	return register_netdevice(dev);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
static int labmdio_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
			   struct netlink_ext_ack *extack)
{
	return labmdio_make(dev);
}
#else
static int labmdio_newlink(struct net *src_net, struct net_device *dev, struct nlattr *tb[],
			   struct nlattr *data[], struct netlink_ext_ack *extack)
{
	return labmdio_make(dev);
}
#endif

struct rtnl_link_ops labmdio_link_ops __read_mostly = {
	.kind = "labmdio",
	.priv_size = sizeof(struct labmdio),
	.setup = labmdio_setup,
	.newlink = labmdio_newlink,
};
