/*
 * The kernel's own path between two devices, at its cheapest: a frame that comes in is handed to the other device's
 * queueing discipline, without a bridge, a route or a neighbour in between. On the way, or in a filter of the
 * discipline, the subscriber's address becomes a class. Where the kernel routes, that alone is done here.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "steer.h"

#define ADDRESS_OFFSET_SOURCE 26
#define ADDRESS_OFFSET_DESTINATION 30

const volatile struct steer_plan plan = {};

/* IPv4 address in network order to the minor number of a class. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_ADDRESSES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} minors SEC(".maps");

/* Minor number of the frame's class; 0: none, the discipline's default is to be taken. */
static __u32 minor_of(struct __sk_buff *skb)
{
	const __u32 offset = plan.source ? ADDRESS_OFFSET_SOURCE : ADDRESS_OFFSET_DESTINATION;
	__u8 *data = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u32 address, *minor;

	if (skb->protocol != bpf_htons(0x0800))
		return 0;
	/* Of a frame in pages only the Ethernet header is at hand. */
	if (data + 34 <= end)
		address = plan.source ? *(__u32 *)(data + ADDRESS_OFFSET_SOURCE) : *(__u32 *)(data + ADDRESS_OFFSET_DESTINATION);
	else if (bpf_skb_load_bytes(skb, offset, &address, sizeof address) != 0)
		return 0;
	minor = bpf_map_lookup_elem(&minors, &address);
	return minor ? *minor : 0;
}

/* At the ingress of the one device; or, where the kernel routes, at the egress of the other. */
SEC("tc")
int forward(struct __sk_buff *skb)
{
	__u32 queue = 0, minor;

	if (plan.queues > 1) {
		queue = bpf_get_smp_processor_id() % plan.queues;
		/* As a driver notes the queue that a frame came by, from 1: sending takes the same. */
		skb->queue_mapping = queue + 1;
	}
	if (plan.by_priority) {
		minor = minor_of(skb);
		skb->priority = minor ? (plan.major + queue) << 16 | minor : 0;
	}
	return plan.routed ? TC_ACT_OK : bpf_redirect(plan.ifindex, 0);
}

/* The other way, for what answers. */
SEC("tc")
int back(struct __sk_buff *skb)
{
	return bpf_redirect(plan.back_ifindex, 0);
}

/* A filter of the htb; it returns a whole class number, and 0 where it knows none. */
SEC("tc")
int classify(struct __sk_buff *skb)
{
	__u32 minor = minor_of(skb);

	return minor ? (plan.major + (plan.queues > 1 ? skb->queue_mapping : 0)) << 16 | minor : 0;
}

/*
 * Makes the device take frames as it does for an AF_XDP program: those that another redirects to it, and others as a
 * copy, so that what waits in a queue does not hold the sender's own buffers.
 */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
