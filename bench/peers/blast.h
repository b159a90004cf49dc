/* What blast and its eBPF program agree on. */
#ifndef BLAST_H
#define BLAST_H

#include <linux/types.h>

/* The next number after `random`, which is not 0: Marsaglia's xorshift, three shifts and no call. */
static inline __u32 xorshift(__u32 random)
{
	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	return random;
}

/* One per thread, written by the thread's own program. */
struct blast_state {
	__u32 random;
	/* The next subscriber's number, where they come in turn. */
	__u32 turn;
	/* The next frame's place in the mix of sizes. */
	__u32 size_at;
	__u32 pad;
	__u64 sent;
	/* CLOCK_MONOTONIC at which the next frame is due, in 2^-PACE_SHIFT ns since start_ns. */
	__u64 due;
	/* Not before then, in the same unit: half a gap after the last frame. */
	__u64 earliest;
	__u64 start_ns;
	/* CLOCK_MONOTONIC of the last frame of all that were asked for; 0 before that. */
	__u64 end_ns;
	/* So that no two threads write to one cache line. */
	__u64 apart[9];
};

/* Ten minutes in 2^-16 ns fit in 64 bits with room to spare, and the rate is exact to a millionth. */
#define PACE_SHIFT 16
/*
 * A thread that was held up makes good for this long at twice its rate: no burst fills the rings of what is measured,
 * and the average is kept. What was due before is left out.
 */
#define ARREARS_NS 200000000ull

/* A mix of sizes is that many frames in a row, again and again. A power of two bounds it for the verifier. */
#define MIX_MAX 16
#define HEADER_WORDS 21

/*
 * One entry of an alias table (Walker 1977, Vose 1991): entry `i` of all is drawn with equal chance, and stands for
 * `i` itself where a second draw is below `keep`, else for `other`.
 */
struct blast_pick {
	__u32 keep;
	__u32 other;
};

/* Who is next. */
enum blast_choice { CHOICE_UNIFORM, CHOICE_IN_TURN, CHOICE_TABLE };

struct blast_plan {
	__u32 base; /* first subscriber, host order */
	__u32 stride; /* between subscribers */
	__u32 subscribers;
	__u32 choice; /* enum blast_choice */
	__u32 server; /* the other end, host order */
	__u32 up; /* 1: the subscriber is the source */
	__u32 ports; /* different UDP ports of the server's side */
	__u32 first_port;
	__u32 ifindex; /* the device to send into */
	__u32 thread; /* the thread's entry in the map of states */
	__u32 numbered; /* 1: each frame carries its number and the time */
	__u64 gap; /* between frames, in 2^-PACE_SHIFT ns; 0: as fast as it goes */
	__u64 count; /* frames of this thread; 0: until it is stopped */
	__u32 header_sum; /* of the IPv4 header without its length and addresses, folded, not inverted */
	__u32 bytes; /* the largest frame, which the others are cut from */
	__u32 mix; /* frames in the mix */
	__u16 sizes[MIX_MAX]; /* layer-2 bytes */
	__u16 header[HEADER_WORDS]; /* Ethernet, IPv4 and UDP, as they lie in memory */
};

#endif
