// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The devices: a port of the router and the far end of its cable, made and removed together.
 *
 * A frame that is sent into the cable reaches the engine first and the router's stack only when
 * the engine does not take it; one that the router sends goes straight to the far end.
 */
#include <linux/slab.h>
#include <linux/version.h>

#include "labhw.h"

static void labhw_count_sent(struct net_device *dev, unsigned int len)
{
	DEV_STATS_INC(dev, tx_packets);
	DEV_STATS_ADD(dev, tx_bytes, len);
}

static netdev_tx_t labhw_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct labhw_port *port = netdev_priv(dev);
	unsigned int len = skb->len;
	struct net_device *peer;

	rcu_read_lock();
	peer = rcu_dereference(port->peer);
	if (unlikely(!peer)) {
		kfree_skb(skb);
		DEV_STATS_INC(dev, tx_dropped);
		goto out;
	}
	labhw_count_sent(dev, len);
	if (!port->router) {
		struct labhw_port *in = netdev_priv(peer);

		if (labhw_forward(in, skb))
			goto out;
		atomic_long_inc(&in->punted);
	}
	/* Consumes the frame in any case. */
	if (dev_forward_skb(peer, skb) == NET_RX_SUCCESS) {
		DEV_STATS_INC(peer, rx_packets);
		DEV_STATS_ADD(peer, rx_bytes, len);
	} else {
		DEV_STATS_INC(peer, rx_dropped);
	}
out:
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

static int labhw_open(struct net_device *dev)
{
	struct labhw_port *port = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(port->peer);

	if (!peer)
		return -ENOTCONN;
	/* A cable has a carrier when both of its ends are up. */
	if (peer->flags & IFF_UP) {
		netif_carrier_on(dev);
		netif_carrier_on(peer);
	}
	return 0;
}

static int labhw_stop(struct net_device *dev)
{
	struct labhw_port *port = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(port->peer);

	netif_carrier_off(dev);
	if (peer)
		netif_carrier_off(peer);
	return 0;
}

static void labhw_unbound(void *binding)
{
	kfree(binding);
}

/* The kernel calls both under the lock of the devices or of its own tables, one port at a time. */
static int labhw_bind(struct labhw_port *port, struct flow_block_offload *offer)
{
	struct labhw_binding *binding;
	struct flow_block_cb *callback;

	if (port->mode == LABHW_REFUSE)
		return -EOPNOTSUPP;
	/* As drivers that keep one list of callbacks for all flowtables. */
	if (port->bindings >= READ_ONCE(port->max_bindings))
		return -EBUSY;
	binding = kzalloc(sizeof(*binding), GFP_KERNEL);
	if (!binding)
		return -ENOMEM;
	binding->port = port;
	binding->flowtable = offer->block;
	callback = flow_block_cb_alloc(labhw_table_command, port, binding, labhw_unbound);
	if (IS_ERR(callback)) {
		kfree(binding);
		return PTR_ERR(callback);
	}
	flow_block_cb_add(callback, offer);
	port->bindings++;
	return 0;
}

/* What was bound before the mode was set to refuse must still be let go. */
static int labhw_unbind(struct labhw_port *port, struct flow_block_offload *offer)
{
	struct flow_block_cb *callback;

	callback = flow_block_cb_lookup(offer->block, labhw_table_command, port);
	if (!callback)
		return -ENOENT;
	labhw_table_forget(port, offer->block);
	flow_block_cb_remove(callback, offer);
	port->bindings--;
	return 0;
}

/* A flowtable is bound to the port, or let go. */
static int labhw_setup_flowtable(struct labhw_port *port, struct flow_block_offload *offer)
{
	if (offer->binder_type != FLOW_BLOCK_BINDER_TYPE_CLSACT_INGRESS)
		return -EOPNOTSUPP;
	switch (offer->command) {
	case FLOW_BLOCK_BIND:
		return labhw_bind(port, offer);
	case FLOW_BLOCK_UNBIND:
		return labhw_unbind(port, offer);
	default:
		return -EOPNOTSUPP;
	}
}

static int labhw_setup_tc(struct net_device *dev, enum tc_setup_type type, void *type_data)
{
	struct labhw_port *port = netdev_priv(dev);

	if (type != TC_SETUP_FT || !port->router)
		return -EOPNOTSUPP;
	return labhw_setup_flowtable(port, type_data);
}

/* ethtool -K DEVICE hw-tc-offload off: what is in hardware does not stay there. */
static int labhw_set_features(struct net_device *dev, netdev_features_t features)
{
	struct labhw_port *port = netdev_priv(dev);

	if (!(features & NETIF_F_HW_TC))
		labhw_table_forget(port, NULL);
	return 0;
}

static void labhw_uninit(struct net_device *dev)
{
	labhw_table_leave(netdev_priv(dev));
}

static const struct net_device_ops labhw_ops = {
	.ndo_uninit = labhw_uninit,
	.ndo_open = labhw_open,
	.ndo_stop = labhw_stop,
	.ndo_start_xmit = labhw_xmit,
	.ndo_set_features = labhw_set_features,
	.ndo_setup_tc = labhw_setup_tc,
	.ndo_set_mac_address = eth_mac_addr,
};

struct labhw_port *labhw_router_port(const struct net_device *dev)
{
	struct labhw_port *port;

	if (dev->netdev_ops != &labhw_ops)
		return NULL;
	port = netdev_priv(dev);
	return port->router ? port : NULL;
}

/*
 * No checksum offload and no segmentation: checksums are computed by the sender and verified by
 * the receiver, so a wrong rewrite by the engine is noticed.
 */
static void labhw_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &labhw_ops;
	dev->needs_free_netdev = true;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
}

static int labhw_add(struct net_device *dev, bool router)
{
	struct labhw_port *port = netdev_priv(dev);

	port->dev = dev;
	port->router = router;
	port->max_flows = UINT_MAX;
	port->max_bindings = UINT_MAX;
	if (router) {
		dev->hw_features |= NETIF_F_HW_TC;
		dev->features |= NETIF_F_HW_TC;
		dev->sysfs_groups[0] = &labhw_switches;
	}
	eth_hw_addr_random(dev);
	return register_netdevice(dev);
}

static int labhw_make(struct net_device *dev)
{
	struct labhw_port *port = netdev_priv(dev);
	char name[IFNAMSIZ];
	struct net_device *peer;
	int err;

	if (snprintf(name, sizeof(name), "%sc", dev->name) >= sizeof(name))
		return -ENAMETOOLONG;
	peer = alloc_netdev(sizeof(struct labhw_port), name, NET_NAME_USER, labhw_setup);
	if (!peer)
		return -ENOMEM;
	dev_net_set(peer, dev_net(dev));
	peer->rtnl_link_ops = &labhw_link_ops;
	err = labhw_add(peer, false);
	if (err) {
		free_netdev(peer);
		return err;
	}
	err = labhw_add(dev, true);
	if (err) {
		unregister_netdevice(peer);
		return err;
	}
	netif_carrier_off(dev);
	netif_carrier_off(peer);
	rcu_assign_pointer(port->peer, peer);
	port = netdev_priv(peer);
	rcu_assign_pointer(port->peer, dev);
	return 0;
}

/* Either end takes the other one with it, in whatever namespace that is. */
static void labhw_remove(struct net_device *dev, struct list_head *head)
{
	struct labhw_port *port = netdev_priv(dev);
	struct net_device *peer = rtnl_dereference(port->peer);

	RCU_INIT_POINTER(port->peer, NULL);
	unregister_netdevice_queue(dev, head);
	if (peer) {
		port = netdev_priv(peer);
		RCU_INIT_POINTER(port->peer, NULL);
		unregister_netdevice_queue(peer, head);
	}
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
static int labhw_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
			 struct netlink_ext_ack *extack)
{
	return labhw_make(dev);
}
#else
static int labhw_newlink(struct net *src_net, struct net_device *dev, struct nlattr *tb[],
			 struct nlattr *data[], struct netlink_ext_ack *extack)
{
	return labhw_make(dev);
}
#endif

struct rtnl_link_ops labhw_link_ops __read_mostly = {
	.kind = "labhw",
	.priv_size = sizeof(struct labhw_port),
	.setup = labhw_setup,
	.newlink = labhw_newlink,
	.dellink = labhw_remove,
};
