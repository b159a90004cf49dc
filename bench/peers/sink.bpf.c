/* Counts what arrives, before the kernel has spent anything on it, and drops it or lets it pass. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "sink.h"

const volatile struct sink_plan plan = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_count);
} total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_count);
} subscribers SEC(".maps");

/* The last number of each subscriber. Not by CPU: the sender of a queue's frames may change its CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_order);
} order SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LATENCY_BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} latency SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sink_count);
} millis SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SIZES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} sizes SEC(".maps");

static void count(void *map, __u32 key, __u64 bytes)
{
	struct sink_count *entry = bpf_map_lookup_elem(map, &key);

	if (entry) {
		entry->packets++;
		entry->bytes += bytes;
	}
}

static void note_order(__u32 subscriber, __u32 number)
{
	__u32 key = 0, *last = bpf_map_lookup_elem(&numbers, &subscriber);
	struct sink_order *entry = bpf_map_lookup_elem(&order, &key);

	if (!last || !entry)
		return;
	entry->numbered++;
	if (entry->lowest == 0 || number < entry->lowest)
		entry->lowest = number;
	if (number > entry->highest)
		entry->highest = number;
	/* The difference, so that numbers may wrap. */
	if ((__s32)(number - *last) > 0)
		*last = number;
	else
		entry->late++;
}

static void note_latency(const struct probe_payload *probe)
{
	__u64 now = bpf_ktime_get_ns(), us = now > probe->sent_ns ? (now - probe->sent_ns) / 1000 : 0;
	__u64 at = us < LATENCY_FINE ? us : LATENCY_FINE + (us - LATENCY_FINE) / LATENCY_COARSE_US;
	__u32 key = at < LATENCY_BUCKETS ? at : LATENCY_BUCKETS - 1;
	__u64 *bucket = bpf_map_lookup_elem(&latency, &key);

	if (bucket)
		++*bucket;
}

static void note_size(__u64 bytes)
{
	__u32 key = bytes < SIZES_MAX ? bytes : SIZES_MAX - 1;
	__u64 *packets = bpf_map_lookup_elem(&sizes, &key);

	if (packets)
		++*packets;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	const struct probe_payload *probe = (void *)(data + 42);
	const int action = plan.pass ? XDP_PASS : XDP_DROP;

	count(&total, 0, end - data);
	if (plan.millis)
		count(&millis, (bpf_ktime_get_ns() - plan.start_ns) / 1000000, end - data);
	if (plan.sizes)
		note_size(end - data);
	/* An IPv4 header without options, and eight bytes more. */
	if (data + 42 > end || *(__u16 *)(data + 12) != bpf_htons(0x0800) || data[14] != 0x45)
		return action;
	if (plan.subscribers) {
		__u8 *at = data + (plan.up ? 26 : 30);
		__u32 address = (__u32)bpf_ntohs(*(__u16 *)at) << 16 | bpf_ntohs(*(__u16 *)(at + 2));

		__u32 subscriber = (address - plan.base) / plan.stride;

		count(&subscribers, subscriber, end - data);
		if (plan.order && data + 42 + sizeof *probe <= end && probe->magic == bpf_htonl(PROBE_MAGIC))
			note_order(subscriber, bpf_ntohl(probe->sequence));
	}
	if (plan.latency && data + 42 + sizeof *probe <= end && probe->magic == bpf_htonl(PROBE_MAGIC) &&
	    (!plan.probe_port || *(__u16 *)(data + 36) == bpf_htons(plan.probe_port)))
		note_latency(probe);
	return action;
}

char LICENSE[] SEC("license") = "GPL";
