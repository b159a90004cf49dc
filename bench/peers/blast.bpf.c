/*
 * Makes one frame different from the last: a subscriber, a size, the checksum that follows, and off into the device.
 * The frames are recycled pages, and a network stack that forwarded one has written into its headers, so all
 * headers are written anew.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "blast.h"
#include "sink.h"

const volatile struct blast_plan plan = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct blast_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct blast_pick);
} picks SEC(".maps");

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

static __u32 next_random(struct blast_state *state)
{
	state->random = xorshift(state->random);
	return state->random;
}

static __u32 next_subscriber(struct blast_state *state, __u32 random)
{
	__u32 number = (__u64)random * plan.subscribers >> 32;
	struct blast_pick *pick;

	if (plan.choice == CHOICE_IN_TURN) {
		number = state->turn;
		state->turn = number + 1 < plan.subscribers ? number + 1 : 0;
	} else if (plan.choice == CHOICE_TABLE) {
		pick = bpf_map_lookup_elem(&picks, &number);
		if (pick && next_random(state) >= pick->keep)
			number = pick->other;
	}
	return plan.base + plan.stride * number;
}

static __u32 next_size(struct blast_state *state)
{
	__u32 at = state->size_at & (MIX_MAX - 1);

	state->size_at = at + 1 < plan.mix ? at + 1 : 0;
	return plan.sizes[at];
}

static void put32(__u8 *at, __u32 value)
{
	*(__u16 *)at = bpf_htons(value >> 16);
	*(__u16 *)(at + 2) = bpf_htons(value & 0xffff);
}

SEC("xdp")
int blast(struct xdp_md *ctx)
{
	__u32 key = plan.thread, bytes, random, subscriber, source, destination, sum;
	struct blast_state *state = bpf_map_lookup_elem(&states, &key);
	struct probe_payload *payload;
	__u8 *data;

	if (!state)
		return XDP_ABORTED;
	/* A frame dropped here goes back to the pool that it came from, and is tried again. */
	if ((plan.count && state->sent >= plan.count) || (plan.gap && !is_due(state)))
		return XDP_DROP;
	bytes = next_size(state);
	if (bytes != plan.bytes && bpf_xdp_adjust_tail(ctx, (int)bytes - (int)plan.bytes))
		return XDP_ABORTED;
	data = (__u8 *)(long)ctx->data;
	payload = (void *)(data + 42);
	if ((__u8 *)(payload + 1) > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	state->sent++;
	if (state->sent == plan.count)
		state->end_ns = bpf_ktime_get_ns();
	random = next_random(state);
	subscriber = next_subscriber(state, random);
	source = plan.up ? subscriber : plan.server;
	destination = plan.up ? plan.server : subscriber;
	sum = plan.header_sum + bytes - 14;
	sum += (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
#pragma unroll
	for (int i = 0; i < HEADER_WORDS; i++)
		((__u16 *)data)[i] = plan.header[i];
	*(__u16 *)(data + 16) = bpf_htons(bytes - 14);
	*(__u16 *)(data + 24) = bpf_htons(~sum & 0xffff);
	put32(data + 26, source);
	put32(data + 30, destination);
	/* The low bits are far from those that chose the subscriber. */
	*(__u16 *)(data + (plan.up ? 36 : 34)) = bpf_htons(plan.first_port + (random & 0xffff) % plan.ports);
	*(__u16 *)(data + 38) = bpf_htons(bytes - 34);
	if (plan.numbered) {
		payload->magic = bpf_htonl(PROBE_MAGIC);
		payload->sequence = bpf_htonl((__u32)state->sent);
		payload->sent_ns = bpf_ktime_get_ns();
	}
	return bpf_redirect(plan.ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
