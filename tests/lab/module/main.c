// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading and unloading of the lab's simulated hardware; see labhw.h. */
#include <linux/module.h>

#include "labhw.h"

static int __init labhw_init(void)
{
	return rtnl_link_register(&labhw_link_ops);
}

static void __exit labhw_exit(void)
{
	/* Removes all devices, and with them all flows. */
	rtnl_link_unregister(&labhw_link_ops);
	labhw_table_exit();
}

module_init(labhw_init);
module_exit(labhw_exit);
MODULE_DESCRIPTION("Ports with a simulated packet engine, for tests of hardware flow offload");
MODULE_AUTHOR("The flowtabled project");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RTNL_LINK("labhw");
