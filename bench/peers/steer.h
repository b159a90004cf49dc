/* What steer and its eBPF programs agree on. */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

/* As many as one htb can have numbers for. */
#define STEER_ADDRESSES_MAX 65536

struct steer_plan {
	__u32 ifindex; /* where frames go */
	__u32 back_ifindex; /* where frames of that device go */
	__u32 major; /* of the first queue's htb; the next queue's has the next number */
	__u32 queues; /* above 1: a frame leaves by the queue of the CPU that it came on */
	__u32 by_priority; /* 1: the class goes into skb->priority */
	__u32 routed; /* 1: somebody else brings the frames to the other device */
	__u32 source; /* 1: the subscriber is the source */
};

#endif
