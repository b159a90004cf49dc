/* What sink and its eBPF program agree on. */
#ifndef SINK_H
#define SINK_H

#include <linux/types.h>

/* Latencies are counted by the microsecond up to 65 ms, then by 64 of them; the last entry, at 4.2 s, takes all that are longer. */
#define LATENCY_FINE 65536
#define LATENCY_COARSE_US 64
#define LATENCY_BUCKETS (2 * LATENCY_FINE)
/* Begins the payload of a probe and of a numbered frame, in network order: "weir". */
#define PROBE_MAGIC 0x77656972

struct probe_payload {
	__u32 magic;
	__u32 sequence;
	/* CLOCK_MONOTONIC when it was sent, in the machine's byte order. */
	__u64 sent_ns;
} __attribute__((packed));

/* Frames of that many layer-2 bytes and more are counted together. */
#define SIZES_MAX 2048
/* Milliseconds that --millis can count one by one. */
#define MILLIS_MAX 120000

struct sink_count {
	__u64 packets;
	__u64 bytes;
};

struct sink_order {
	__u64 numbered;
	/* Came after one of a higher number of the same subscriber, or a second time: "reordered" in RFC 4737, section 3. */
	__u64 late;
	/* Of all subscribers; 0: none came yet. */
	__u32 lowest;
	__u32 highest;
};

struct sink_plan {
	__u32 base; /* first subscriber, host order */
	__u32 stride;
	__u32 subscribers; /* 0: not counted one by one */
	__u32 up; /* 1: the subscriber is the source */
	__u32 latency; /* 1: how long probes and numbered frames took */
	__u32 probe_port; /* the destination's UDP port of those; 0: any */
	__u32 sizes; /* 1: frames of each size are counted */
	__u32 order; /* 1: whether each subscriber's numbered frames come in their order */
	__u32 millis; /* milliseconds counted one by one; 0: none */
	__u32 pass; /* 1: what was counted goes on to the kernel */
	__u64 start_ns; /* CLOCK_MONOTONIC when the first of them begins */
};

#endif
