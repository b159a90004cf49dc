/*
 * The wire itself. Every frame that comes in at a port goes to the worker of its queue, crosses to the other port in
 * the kernel, or is dropped, and is counted under the reason. See xdp_layout.h for the reasons.
 *
 *   ends within its headers            -> what `failure_open` says
 *   not IP, nor MPLS                   -> crosses
 *   source or destination in bypass    -> crosses
 *   no socket on its queue             -> what `failure_open` says
 *   longer than a frame of the UMEM    -> dropped
 *   else                               -> the socket
 *
 * IP may stand behind two VLAN tags and PPPoE. The program keeps no state of its own, so it may outlive the process
 * that attached it: the kernel takes the sockets of a dead process out of the maps.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "xdp_layout.h"

#define INSIDE 0
#define OUTSIDE 1

#define ETHERTYPE_QINQ_OLD 0x9100
#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057
#define VLAN_TAGS_MAX 2

struct vlan_tag {
	__be16 tag;
	__be16 ethertype;
};

struct pppoe_header {
	__u8 version_type;
	__u8 code;
	__be16 session;
	__be16 length;
	__be16 protocol;
};

/* What the headers say about a frame. */
enum verdict { RUNT, NOT_IP, LABELLED, IPV4, IPV6 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_config);
} weir_config SEC(".maps");

/* By port. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct weir_counts);
} weir_counts SEC(".maps");

/* The devices, by port. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} weir_ports SEC(".maps");

/* The sockets of each port, by queue. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WEIR_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} weir_xsk_in SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WEIR_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} weir_xsk_out SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_BYPASS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_bypass_key);
	__type(value, __u32);
} weir_bypass SEC(".maps");

static __always_inline int is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD) ||
	       ethertype == bpf_htons(ETHERTYPE_QINQ_OLD);
}

/* Finds what the frame carries, and where its IP header begins. */
static __always_inline enum verdict parse(void *data, void *end, void **network)
{
	struct ethhdr *ethernet = data;
	if ((void *)(ethernet + 1) > end)
		return RUNT;
	__be16 ethertype = ethernet->h_proto;
	void *next = ethernet + 1;
#pragma unroll
	for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		if (!is_vlan(ethertype))
			break;
		struct vlan_tag *vlan = next;
		if ((void *)(vlan + 1) > end)
			return RUNT;
		ethertype = vlan->ethertype;
		next = vlan + 1;
	}
	if (ethertype == bpf_htons(ETH_P_PPP_SES)) {
		struct pppoe_header *pppoe = next;
		if ((void *)(pppoe + 1) > end)
			return RUNT;
		if (pppoe->code != 0)
			return NOT_IP;
		next = pppoe + 1;
		if (pppoe->protocol == bpf_htons(PPP_IPV4))
			ethertype = bpf_htons(ETH_P_IP);
		else if (pppoe->protocol == bpf_htons(PPP_IPV6))
			ethertype = bpf_htons(ETH_P_IPV6);
		else
			return NOT_IP;
	}
	*network = next;
	if (ethertype == bpf_htons(ETH_P_IP))
		return next + sizeof(struct iphdr) > end ? RUNT : IPV4;
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return next + sizeof(struct ipv6hdr) > end ? RUNT : IPV6;
	/* The workers see no class in labelled traffic either, but their policy for unknown traffic is to apply. */
	if (ethertype == bpf_htons(ETH_P_MPLS_UC) || ethertype == bpf_htons(ETH_P_MPLS_MC))
		return LABELLED;
	return NOT_IP;
}

static __always_inline int bypasses4(__be32 address)
{
	struct weir_bypass_key key = {.prefix_bits = 128};
	key.address[10] = 0xff;
	key.address[11] = 0xff;
	__builtin_memcpy(&key.address[12], &address, sizeof(address));
	return bpf_map_lookup_elem(&weir_bypass, &key) != 0;
}

static __always_inline int bypasses6(const struct in6_addr *address)
{
	struct weir_bypass_key key = {.prefix_bits = 128};
	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&weir_bypass, &key) != 0;
}

static __always_inline int bypasses(enum verdict verdict, void *network, void *end)
{
	if (verdict == IPV4) {
		struct iphdr *ip = network;
		if ((void *)(ip + 1) > end)
			return 0;
		return bypasses4(ip->saddr) || bypasses4(ip->daddr);
	}
	if (verdict == IPV6) {
		struct ipv6hdr *ip = network;
		if ((void *)(ip + 1) > end)
			return 0;
		return bypasses6(&ip->saddr) || bypasses6(&ip->daddr);
	}
	return 0;
}

static __always_inline int cross(__u32 port)
{
	return bpf_redirect_map(&weir_ports, 1 - port, 0);
}

static __always_inline int fail(const struct weir_config *config, struct weir_counts *counts, __u32 port, __u32 open,
				__u32 closed)
{
	if (config->failure_open) {
		counts->frames[open]++;
		return cross(port);
	}
	counts->frames[closed]++;
	return XDP_DROP;
}

static __always_inline int to_socket(struct xdp_md *ctx, __u32 port)
{
	/* XDP_ABORTED (0) where the queue has no socket. */
	if (port == INSIDE)
		return bpf_redirect_map(&weir_xsk_in, ctx->rx_queue_index, 0);
	return bpf_redirect_map(&weir_xsk_out, ctx->rx_queue_index, 0);
}

static __always_inline int handle(struct xdp_md *ctx, __u32 port)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct weir_config *config = bpf_map_lookup_elem(&weir_config, &zero);
	struct weir_counts *counts = bpf_map_lookup_elem(&weir_counts, &port);
	if (!config || !counts)
		return XDP_ABORTED;

	void *network = data;
	enum verdict verdict = parse(data, end, &network);
	if (verdict == RUNT)
		return fail(config, counts, port, WEIR_RUNT_OPEN, WEIR_RUNT_CLOSED);
	if (verdict == NOT_IP) {
		counts->frames[WEIR_NON_IP]++;
		return cross(port);
	}
	if (config->bypass_prefixes && bypasses(verdict, network, end)) {
		counts->frames[WEIR_BYPASS]++;
		return cross(port);
	}
	if (to_socket(ctx, port) != XDP_REDIRECT)
		return fail(config, counts, port, WEIR_FAIL_OPEN, WEIR_FAIL_CLOSED);
	if (end - data > config->frame_bytes_max) {
		counts->frames[WEIR_TOO_LONG]++;
		return XDP_DROP;
	}
	counts->frames[WEIR_TO_SOCKET]++;
	return XDP_REDIRECT;
}

SEC("xdp")
int weir_inside(struct xdp_md *ctx)
{
	return handle(ctx, INSIDE);
}

SEC("xdp")
int weir_outside(struct xdp_md *ctx)
{
	return handle(ctx, OUTSIDE);
}

char _license[] SEC("license") = "GPL";
