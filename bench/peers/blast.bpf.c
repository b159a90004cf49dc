/*
 * Makes one frame different from the last: a subscriber at random, the checksum that follows, and off into the
 * device. The headers that stay the same were there before: the frames are recycled, and nobody on the way
 * writes to them.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "blast.h"

const volatile struct blast_plan plan = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct blast_state);
} states SEC(".maps");

/* Whether the next frame is due. */
static int is_due(struct blast_state *state)
{
	__u64 now = (bpf_ktime_get_ns() - state->start_ns) << PACE_SHIFT;

	if (now < state->due || now < state->earliest)
		return 0;
	if (now - state->due > ARREARS_NS << PACE_SHIFT)
		state->due = now - (ARREARS_NS << PACE_SHIFT);
	state->due += plan.gap;
	state->earliest = now + plan.gap / 2;
	return 1;
}

SEC("xdp")
int blast(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	__u32 key = plan.thread, subscriber, source, destination, sum, port;
	struct blast_state *state;

	if (data + 42 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	state = bpf_map_lookup_elem(&states, &key);
	if (!state)
		return XDP_ABORTED;
	/* A frame dropped here goes back to the pool that it came from, and is tried again. */
	if (plan.gap && !is_due(state))
		return XDP_DROP;
	/* Marsaglia's xorshift: three shifts and no call. */
	__u32 random = state->random;
	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	state->random = random;
	state->sent++;
	subscriber = plan.base + plan.stride * (__u32)((__u64)random * plan.subscribers >> 32);
	/* The low bits are far from those that chose the subscriber. */
	port = plan.first_port + (random & 0xffff) % plan.ports;
	source = plan.up ? subscriber : plan.server;
	destination = plan.up ? plan.server : subscriber;
	sum = plan.header_sum + (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*(__u16 *)(data + 24) = bpf_htons(~sum & 0xffff);
	*(__u16 *)(data + 26) = bpf_htons(source >> 16);
	*(__u16 *)(data + 28) = bpf_htons(source & 0xffff);
	*(__u16 *)(data + 30) = bpf_htons(destination >> 16);
	*(__u16 *)(data + 32) = bpf_htons(destination & 0xffff);
	*(__u16 *)(data + (plan.up ? 36 : 34)) = bpf_htons(port);
	return bpf_redirect(plan.ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
