// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading and unloading of the lab's switch behind MDIO; see labmdio.h. */
#include <linux/module.h>
#include <linux/platform_device.h>

#include "labmdio.h"

struct platform_device *labmdio_platform;

static struct platform_driver labmdio_platform_driver = {
	.driver = {
		.name = "labmdio",
		.suppress_bind_attrs = true,
	},
};

static int __init labmdio_init(void)
{
	int err = platform_driver_register(&labmdio_platform_driver);

	if (err)
		return err;
	labmdio_platform = platform_device_register_simple("labmdio", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(labmdio_platform)) {
		err = PTR_ERR(labmdio_platform);
		goto no_device;
	}
	err = rtnl_link_register(&labmdio_link_ops);
	if (err)
		goto no_link;
	err = labmdio_netlink_init();
	if (err)
		goto no_netlink;
	return 0;

no_netlink:
	rtnl_link_unregister(&labmdio_link_ops);
no_link:
	platform_device_unregister(labmdio_platform);
no_device:
	platform_driver_unregister(&labmdio_platform_driver);
	return err;
}

static void __exit labmdio_exit(void)
{
	/* Waits for programs that run. */
	labmdio_netlink_exit();
	/* Removes all devices, and with them all buses. */
	rtnl_link_unregister(&labmdio_link_ops);
	platform_device_unregister(labmdio_platform);
	platform_driver_unregister(&labmdio_platform_driver);
}

module_init(labmdio_init);
module_exit(labmdio_exit);
MODULE_DESCRIPTION("A simulated switch of the QCA8337 family behind a real MDIO bus");
MODULE_AUTHOR("The flowtabled project");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RTNL_LINK("labmdio");
