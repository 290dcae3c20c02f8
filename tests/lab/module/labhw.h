/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labhw: network ports with a packet engine, for tests of hardware flow offload.
 *
 * "ip link add lan0 type labhw" makes two devices: lan0, a port of the router, and lan0c, the
 * far end of its cable, which is moved to the namespace of a host. The engine stands between
 * them, as it does on a SoC. The kernel's flowtable tells it flows by TC_SETUP_FT; what comes in
 * by a cable and belongs to one of them is rewritten and leaves by the cable of another port.
 * The router's network stack sees only the rest.
 *
 * main.c      loading and unloading
 * port.c      the devices, and the binding of flowtables to them
 * switches.c  what a test can set and read, in /sys/class/net/DEVICE/labhw
 * table.c     the engine's flow table, as the kernel programs it
 * forward.c   the engine's data path
 */
#ifndef LABHW_H
#define LABHW_H

#include <linux/atomic.h>
#include <linux/etherdevice.h>
#include <linux/if_ether.h>
#include <linux/netdevice.h>
#include <net/flow_offload.h>
#include <net/rtnetlink.h>

/* What a port makes of hardware offload. */
enum labhw_mode {
	LABHW_HARDWARE,	/* takes flows */
	LABHW_REFUSE,	/* refuses to be bound, as a device without TC_SETUP_FT */
	LABHW_PRETEND,	/* lets itself be bound and takes no flow, as any device of OpenWrt */
};

/* Private data of both ends of a cable. */
struct labhw_port {
	struct net_device *dev;
	struct net_device __rcu *peer;
	bool router;		/* the router's end: the one with the engine */
	/* What follows only matters there, and is guarded by the lock of the flow table. */
	bool gone;		/* being removed: no flow may refer to it any more */
	enum labhw_mode mode;
	unsigned int max_flows;	/* flows that find room, by the port that they come in by */
	unsigned int flows;
	unsigned int max_bindings;	/* flowtables that may be bound to the port at once */
	unsigned int bindings;
	/* The data path adds to these without a lock. */
	atomic_long_t forwarded;	/* packets from this port's cable that the engine forwarded */
	atomic_long_t punted;	/* packets from there that it left to the router's stack */
};

/* A flowtable at one port: what it told of comes and goes with it, beside that of others. */
struct labhw_binding {
	struct labhw_port *port;
	const struct flow_block *flowtable;
};

/* One direction of a flow as it looks when it comes in. IPv4 uses the first word of addresses. */
struct labhw_key {
	const struct labhw_port *in;
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__be16 ethertype;
	u8 protocol;
	u8 unused;	/* zero, like all padding: keys are compared as memory */
};

/* Where the headers of a packet are, in bytes from its beginning. */
struct labhw_headers {
	unsigned int network;
	unsigned int transport;
	unsigned int end;
};

/* One word of a header is replaced: bits that are set in keep stay as they are. */
struct labhw_rewrite {
	enum flow_action_mangle_base header;
	unsigned int offset;
	u32 keep;
	u32 value;
};

/* Both MAC addresses (four words), both IPv6 addresses (eight), both ports (two). */
#define LABHW_REWRITES 14

struct labhw_flow {
	struct hlist_node by_key;
	struct hlist_node by_cookie;
	struct rcu_head rcu;
	unsigned long cookie;
	struct labhw_key key;
	struct labhw_port *in;
	struct labhw_port *out;
	const struct flow_block *flowtable;	/* that it is from */
	unsigned int rewrites;
	struct labhw_rewrite rewrite[LABHW_REWRITES];
	/* Since the kernel asked last. */
	atomic_long_t packets;
	atomic_long_t bytes;
	unsigned long used;	/* jiffies of the last packet */
};

extern struct rtnl_link_ops labhw_link_ops;
extern const struct attribute_group labhw_switches;

/* The port behind a device, NULL when it is none of ours or the far end of a cable. */
struct labhw_port *labhw_router_port(const struct net_device *dev);

/* Takes and gives flows: the callback of a flow block, the binding as its private data. */
int labhw_table_command(enum tc_setup_type type, void *type_data, void *binding);
/* The flow of this direction; the caller holds the RCU read lock. */
struct labhw_flow *labhw_table_find(const struct labhw_key *key);
/*
 * Forgets the flows that come in or go out by a port, those of one flowtable or (NULL) of all, and
 * does not tell the kernel.
 */
void labhw_table_forget(struct labhw_port *port, const struct flow_block *flowtable);
/* The same for good: the port is being removed. */
void labhw_table_leave(struct labhw_port *port);
void labhw_table_set_mode(struct labhw_port *port, enum labhw_mode mode);
void labhw_table_exit(void);

/* Forwards a frame from the cable of a port; false when it is left to the router's stack. */
bool labhw_forward(struct labhw_port *in, struct sk_buff *skb);

#endif
