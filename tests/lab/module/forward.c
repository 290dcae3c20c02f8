// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine's data path: finds the flow of a frame, rewrites it, takes one from its TTL, and
 * sends it into the cable of another port. What hardware leaves to the processor is left to it
 * here as well: fragments, IP options, TTL 1, ends of TCP connections, frames longer than the
 * way out allows.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip.h>

#include "labhw.h"

static bool labhw_parse_network(struct sk_buff *skb, struct labhw_key *key,
				struct labhw_headers *at)
{
	at->network = ETH_HLEN;
	if (skb_vlan_tag_present(skb) || !pskb_may_pull(skb, ETH_HLEN))
		return false;
	key->ethertype = ((struct ethhdr *)skb->data)->h_proto;
	if (key->ethertype == htons(ETH_P_IP)) {
		struct iphdr *ip;

		at->transport = at->network + sizeof(*ip);
		if (!pskb_may_pull(skb, at->transport))
			return false;
		ip = (struct iphdr *)(skb->data + at->network);
		if (ip->ihl != 5 || ip_is_fragment(ip) || ip->ttl <= 1)
			return false;
		key->protocol = ip->protocol;
		key->source[0] = ip->saddr;
		key->destination[0] = ip->daddr;
		return true;
	}
	if (key->ethertype == htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6;

		at->transport = at->network + sizeof(*ip6);
		if (!pskb_may_pull(skb, at->transport))
			return false;
		ip6 = (struct ipv6hdr *)(skb->data + at->network);
		if (ip6->hop_limit <= 1)
			return false;
		key->protocol = ip6->nexthdr;
		memcpy(key->source, &ip6->saddr, sizeof(key->source));
		memcpy(key->destination, &ip6->daddr, sizeof(key->destination));
		return true;
	}
	return false;
}

static bool labhw_parse(struct sk_buff *skb, struct labhw_key *key, struct labhw_headers *at)
{
	struct udphdr *ports;	/* TCP has its ports at the same place */

	if (!labhw_parse_network(skb, key, at))
		return false;
	switch (key->protocol) {
	case IPPROTO_TCP:
		at->end = at->transport + sizeof(struct tcphdr);
		break;
	case IPPROTO_UDP:
		at->end = at->transport + sizeof(struct udphdr);
		break;
	default:
		return false;
	}
	if (!pskb_may_pull(skb, at->end))
		return false;
	if (key->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (struct tcphdr *)(skb->data + at->transport);

		if (tcp->fin || tcp->rst || tcp->syn)
			return false;
	}
	ports = (struct udphdr *)(skb->data + at->transport);
	key->source_port = ports->source;
	key->destination_port = ports->dest;
	return true;
}

/* The checksum of the transport header, NULL when the packet has none. */
static __sum16 *labhw_transport_sum(struct sk_buff *skb, const struct labhw_key *key,
				    const struct labhw_headers *at)
{
	void *header = skb->data + at->transport;
	struct udphdr *udp = header;

	if (key->protocol == IPPROTO_TCP)
		return &((struct tcphdr *)header)->check;
	return udp->check || skb->ip_summed == CHECKSUM_PARTIAL ? &udp->check : NULL;
}

static void labhw_rewrite(struct sk_buff *skb, const struct labhw_flow *flow,
			  const struct labhw_headers *at, const struct labhw_rewrite *rewrite)
{
	__sum16 *sum = labhw_transport_sum(skb, &flow->key, at);
	unsigned int base = 0;
	bool pseudo = false;
	__be32 old, new;
	u8 *word;

	switch (rewrite->header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		base = at->network;
		pseudo = true;
		break;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		base = at->transport;
		break;
	default:
		sum = NULL;
		break;
	}
	word = skb->data + base + rewrite->offset;
	memcpy(&old, word, sizeof(old));
	new = (__force __be32)(((__force u32)old & rewrite->keep) |
			       (rewrite->value & ~rewrite->keep));
	memcpy(word, &new, sizeof(new));
	if (rewrite->header == FLOW_ACT_MANGLE_HDR_TYPE_IP4)
		csum_replace4(&((struct iphdr *)(skb->data + at->network))->check, old, new);
	if (!sum)
		return;
	inet_proto_csum_replace4(sum, skb, old, new, pseudo);
	/* Zero would mean that UDP has no checksum. */
	if (flow->key.protocol == IPPROTO_UDP && !*sum)
		*sum = CSUM_MANGLED_0;
}

static void labhw_count_hop(struct sk_buff *skb, const struct labhw_headers *at, __be16 ethertype)
{
	void *header = skb->data + at->network;

	if (ethertype == htons(ETH_P_IP))
		ip_decrease_ttl(header);
	else
		((struct ipv6hdr *)header)->hop_limit--;
}

bool labhw_forward(struct labhw_port *in, struct sk_buff *skb)
{
	struct labhw_headers at = {};
	struct net_device *cable;
	struct labhw_flow *flow;
	struct labhw_key key;
	unsigned int i, len;

	memset(&key, 0, sizeof(key));
	key.in = in;
	if (!netif_running(in->dev) || !labhw_parse(skb, &key, &at))
		return false;
	flow = labhw_table_find(&key);
	if (!flow || !netif_running(flow->out->dev))
		return false;
	cable = rcu_dereference(((struct labhw_port *)netdev_priv(flow->out->dev))->peer);
	len = skb->len - ETH_HLEN;
	if (!cable || len > READ_ONCE(flow->out->dev->mtu) || skb_ensure_writable(skb, at.end))
		return false;
	for (i = 0; i < flow->rewrites; i++)
		labhw_rewrite(skb, flow, &at, &flow->rewrite[i]);
	labhw_count_hop(skb, &at, key.ethertype);
	atomic_long_inc(&flow->packets);
	atomic_long_add(len, &flow->bytes);
	WRITE_ONCE(flow->used, jiffies);
	atomic_long_inc(&in->forwarded);
	DEV_STATS_INC(flow->out->dev, tx_packets);
	DEV_STATS_ADD(flow->out->dev, tx_bytes, skb->len);
	if (dev_forward_skb(cable, skb) != NET_RX_SUCCESS)
		DEV_STATS_INC(cable, rx_dropped);
	return true;
}
