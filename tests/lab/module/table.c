// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine's flow table. The kernel adds each direction of a flow on its own, under a cookie
 * of its own, by the binding of every port; the port that the direction comes in by takes it.
 */
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "labhw.h"

#define LABHW_HASH_BITS 10

static DEFINE_HASHTABLE(labhw_by_key, LABHW_HASH_BITS);
static DEFINE_HASHTABLE(labhw_by_cookie, LABHW_HASH_BITS);
/* Guards both tables and the fields of ports that belong to them. */
static DEFINE_SPINLOCK(labhw_lock);

static u32 labhw_hash(const struct labhw_key *key)
{
	return jhash(key, sizeof(*key), 0);
}

struct labhw_flow *labhw_table_find(const struct labhw_key *key)
{
	struct labhw_flow *flow;

	hash_for_each_possible_rcu(labhw_by_key, flow, by_key, labhw_hash(key))
		if (!memcmp(&flow->key, key, sizeof(*key)))
			return flow;
	return NULL;
}

static struct labhw_flow *labhw_find_cookie(unsigned long cookie)
{
	struct labhw_flow *flow;

	hash_for_each_possible(labhw_by_cookie, flow, by_cookie, cookie)
		if (flow->cookie == cookie)
			return flow;
	return NULL;
}

static void labhw_drop(struct labhw_flow *flow)
{
	hash_del_rcu(&flow->by_key);
	hash_del(&flow->by_cookie);
	flow->in->flows--;
	kfree_rcu(flow, rcu);
}

static int labhw_read_match(struct labhw_flow *flow, struct labhw_port *port,
			    struct flow_rule *rule)
{
	struct labhw_key *key = &flow->key;
	struct flow_match_control control;
	struct flow_match_basic basic;
	struct flow_match_ports ports;
	struct flow_match_meta meta;

	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_META) ||
	    !flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CONTROL) ||
	    !flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_BASIC) ||
	    !flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_PORTS) ||
	    flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_VLAN) ||
	    flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CVLAN))
		return -EOPNOTSUPP;
	flow_rule_match_meta(rule, &meta);
	if (meta.key->ingress_ifindex != port->dev->ifindex)
		return -EOPNOTSUPP;
	flow_rule_match_basic(rule, &basic);
	if (basic.key->ip_proto != IPPROTO_TCP && basic.key->ip_proto != IPPROTO_UDP)
		return -EOPNOTSUPP;
	key->in = port;
	key->protocol = basic.key->ip_proto;
	flow_rule_match_control(rule, &control);
	if (control.key->addr_type == FLOW_DISSECTOR_KEY_IPV4_ADDRS) {
		struct flow_match_ipv4_addrs addresses;

		flow_rule_match_ipv4_addrs(rule, &addresses);
		key->ethertype = htons(ETH_P_IP);
		key->source[0] = addresses.key->src;
		key->destination[0] = addresses.key->dst;
	} else if (control.key->addr_type == FLOW_DISSECTOR_KEY_IPV6_ADDRS) {
		struct flow_match_ipv6_addrs addresses;

		flow_rule_match_ipv6_addrs(rule, &addresses);
		key->ethertype = htons(ETH_P_IPV6);
		memcpy(key->source, &addresses.key->src, sizeof(key->source));
		memcpy(key->destination, &addresses.key->dst, sizeof(key->destination));
	} else {
		return -EOPNOTSUPP;
	}
	flow_rule_match_ports(rule, &ports);
	key->source_port = ports.key->src;
	key->destination_port = ports.key->dst;
	return 0;
}

/* Only the words that the data path knows checksums of, or that have none. */
static bool labhw_rewrites_word(enum flow_action_mangle_base header, unsigned int offset)
{
	switch (header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return offset <= 2 * ETH_ALEN - sizeof(u32);
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return offset == 12 || offset == 16;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return offset >= 8 && offset <= 36 && offset % sizeof(u32) == 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return offset == 0;
	default:
		return false;
	}
}

static int labhw_read_actions(struct labhw_flow *flow, struct flow_rule *rule)
{
	const struct flow_action_entry *action;
	struct labhw_rewrite *rewrite;
	int i;

	flow_action_for_each(i, action, &rule->action) {
		switch (action->id) {
		case FLOW_ACTION_MANGLE:
			if (flow->rewrites == LABHW_REWRITES ||
			    !labhw_rewrites_word(action->mangle.htype, action->mangle.offset))
				return -EOPNOTSUPP;
			rewrite = &flow->rewrite[flow->rewrites++];
			rewrite->header = action->mangle.htype;
			rewrite->offset = action->mangle.offset;
			rewrite->keep = action->mangle.mask;
			rewrite->value = action->mangle.val;
			break;
		case FLOW_ACTION_CSUM:
			/* Checksums are always kept right. */
			break;
		case FLOW_ACTION_REDIRECT:
			flow->out = labhw_router_port(action->dev);
			break;
		default:
			/* VLAN, PPPoE and tunnels are for the processor. */
			return -EOPNOTSUPP;
		}
	}
	return flow->out ? 0 : -EOPNOTSUPP;
}

static bool labhw_takes(const struct labhw_port *port)
{
	return !port->gone && port->mode == LABHW_HARDWARE && (port->dev->features & NETIF_F_HW_TC);
}

static int labhw_insert(struct labhw_flow *flow)
{
	int err = 0;

	spin_lock_bh(&labhw_lock);
	if (!labhw_takes(flow->in) || !labhw_takes(flow->out))
		err = -EOPNOTSUPP;
	else if (labhw_find_cookie(flow->cookie) || labhw_table_find(&flow->key))
		err = -EEXIST;
	else if (flow->in->flows >= flow->in->max_flows)
		err = -ENOSPC;
	if (!err) {
		flow->in->flows++;
		hash_add(labhw_by_cookie, &flow->by_cookie, flow->cookie);
		hash_add_rcu(labhw_by_key, &flow->by_key, labhw_hash(&flow->key));
	}
	spin_unlock_bh(&labhw_lock);
	return err;
}

static int labhw_replace(const struct labhw_binding *binding, struct flow_cls_offload *offer)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(offer);
	struct labhw_flow *flow = kzalloc(sizeof(*flow), GFP_KERNEL);
	int err;

	if (!flow)
		return -ENOMEM;
	flow->cookie = offer->cookie;
	flow->in = binding->port;
	flow->flowtable = binding->flowtable;
	flow->used = jiffies;
	err = labhw_read_match(flow, binding->port, rule);
	if (!err)
		err = labhw_read_actions(flow, rule);
	if (!err)
		err = labhw_insert(flow);
	if (err)
		kfree(flow);
	return err;
}

static int labhw_destroy(struct labhw_port *port, struct flow_cls_offload *offer)
{
	struct labhw_flow *flow;

	spin_lock_bh(&labhw_lock);
	flow = labhw_find_cookie(offer->cookie);
	if (flow && flow->in == port)
		labhw_drop(flow);
	else
		flow = NULL;
	spin_unlock_bh(&labhw_lock);
	return flow ? 0 : -ENOENT;
}

static int labhw_stats(struct labhw_port *port, struct flow_cls_offload *offer)
{
	struct labhw_flow *flow;

	spin_lock_bh(&labhw_lock);
	flow = labhw_find_cookie(offer->cookie);
	if (flow && flow->in == port)
		flow_stats_update(&offer->stats, atomic_long_xchg(&flow->bytes, 0),
				  atomic_long_xchg(&flow->packets, 0), 0, READ_ONCE(flow->used),
				  FLOW_ACTION_HW_STATS_DELAYED);
	else
		flow = NULL;
	spin_unlock_bh(&labhw_lock);
	return flow ? 0 : -ENOENT;
}

int labhw_table_command(enum tc_setup_type type, void *type_data, void *private)
{
	const struct labhw_binding *binding = private;
	struct flow_cls_offload *offer = type_data;

	if (type != TC_SETUP_CLSFLOWER)
		return -EOPNOTSUPP;
	switch (offer->command) {
	case FLOW_CLS_REPLACE:
		return labhw_replace(binding, offer);
	case FLOW_CLS_DESTROY:
		return labhw_destroy(binding->port, offer);
	case FLOW_CLS_STATS:
		return labhw_stats(binding->port, offer);
	default:
		return -EOPNOTSUPP;
	}
}

static void labhw_forget_locked(struct labhw_port *port, const struct flow_block *flowtable)
{
	struct labhw_flow *flow;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(labhw_by_cookie, bucket, next, flow, by_cookie)
		if ((flow->in == port || flow->out == port) &&
		    (!flowtable || flow->flowtable == flowtable))
			labhw_drop(flow);
}

void labhw_table_forget(struct labhw_port *port, const struct flow_block *flowtable)
{
	spin_lock_bh(&labhw_lock);
	labhw_forget_locked(port, flowtable);
	spin_unlock_bh(&labhw_lock);
}

void labhw_table_leave(struct labhw_port *port)
{
	spin_lock_bh(&labhw_lock);
	port->gone = true;
	labhw_forget_locked(port, NULL);
	spin_unlock_bh(&labhw_lock);
}

void labhw_table_set_mode(struct labhw_port *port, enum labhw_mode mode)
{
	spin_lock_bh(&labhw_lock);
	port->mode = mode;
	if (mode != LABHW_HARDWARE)
		labhw_forget_locked(port, NULL);
	spin_unlock_bh(&labhw_lock);
}

void labhw_table_exit(void)
{
	/* Flows that were dropped are freed by the kernel's own code, which stays. */
	WARN_ON(!hash_empty(labhw_by_cookie));
}
