/*
 * What the XDP program, the C library and src/rings/xdp.ts agree on. Included by the program, so it stands on
 * linux/types.h alone.
 */
#ifndef WEIR_XDP_LAYOUT_H
#define WEIR_XDP_LAYOUT_H

#include <linux/types.h>

/* Queues a port may have. */
#define WEIR_QUEUES_MAX 256
#define WEIR_BYPASS_MAX 65536

/* Names in the kernel have 15 characters. A program with one of these names is weir's. */
#define WEIR_PROGRAM_INSIDE "weir_inside"
#define WEIR_PROGRAM_OUTSIDE "weir_outside"

/*
 * What became of each frame that came in at a port; each frame counts once. TypeScript has the same list in the same
 * order (src/rings/xdp.ts), and a test compares them.
 */
enum weir_counter {
	WEIR_TO_SOCKET,   /* to the worker of its queue */
	WEIR_NON_IP,      /* crossed: ARP, LLDP, STP, PPP control and whatever else is not IP */
	WEIR_BYPASS,      /* crossed: its source or destination is a bypass prefix */
	WEIR_FAIL_OPEN,   /* crossed: no worker on its queue */
	WEIR_FAIL_CLOSED, /* dropped: no worker on its queue */
	WEIR_RUNT_OPEN,   /* crossed: ends within its headers */
	WEIR_RUNT_CLOSED, /* dropped: ends within its headers */
	WEIR_TOO_LONG,    /* dropped: longer than a frame of the UMEM, whose worker is there */
	WEIR_COUNTERS,
};

struct weir_counts {
	__u64 frames[WEIR_COUNTERS];
};

/* The one entry of the map weir_config. */
struct weir_config {
	/* Which build of the program this is; a later process takes over only its own. */
	__u32 build;
	__u32 failure_open;
	__u32 bypass_prefixes;
	/* Longest frame that a worker takes. */
	__u32 frame_bytes_max;
	/* Bit per port: weir made it promiscuous and undoes that when it leaves. */
	__u32 promiscuous_ports;
	__u32 reserved;
};

struct weir_bypass_key {
	__u32 prefix_bits;
	/* IPv4 as ::ffff:a.b.c.d. */
	__u8 address[16];
};

#endif
