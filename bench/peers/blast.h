/* What blast and its eBPF program agree on. */
#ifndef BLAST_H
#define BLAST_H

#include <linux/types.h>

/* One per thread, written by the thread's own program. */
struct blast_state {
	__u32 random;
	__u32 pad;
	__u64 sent;
	/* CLOCK_MONOTONIC at which the next frame is due, in 2^-PACE_SHIFT ns since start_ns. */
	__u64 due;
	/* Not before then, in the same unit: half a gap after the last frame. */
	__u64 earliest;
	__u64 start_ns;
	/* So that no two threads write to one cache line. */
	__u64 apart[11];
};

/* Ten minutes in 2^-16 ns fit in 64 bits with room to spare, and the rate is exact to a millionth. */
#define PACE_SHIFT 16
/*
 * A thread that was held up makes good for this long at twice its rate: no burst fills the rings of what is measured,
 * and the average is kept. What was due before is left out.
 */
#define ARREARS_NS 200000000ull

struct blast_plan {
	__u32 base; /* first subscriber, host order */
	__u32 stride; /* between subscribers */
	__u32 subscribers;
	__u32 server; /* the other end, host order */
	__u32 up; /* 1: the subscriber is the source */
	__u32 ports; /* different UDP ports of the server's side */
	__u32 first_port;
	__u32 ifindex; /* the device to send into */
	__u32 thread; /* the thread's entry in the map of states */
	__u64 gap; /* between frames, in 2^-PACE_SHIFT ns; 0: as fast as it goes */
	__u32 header_sum; /* of the IPv4 header without addresses, folded, not inverted */
};

#endif
