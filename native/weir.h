/*
 * The whole interface between weir's TypeScript and its C library. Plain C types only, so that a foreign function
 * interface can call it without glue. See README.md for who calls what from which thread.
 *
 * Functions that can fail take `err`, a buffer of `err_bytes`, and leave one line in it: `E_CODE: what is wrong`.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stdint.h>

#define WEIR_API __attribute__((visibility("default")))

enum weir_port { WEIR_INSIDE = 0, WEIR_OUTSIDE = 1, WEIR_PORTS = 2 };

/* ---- the wire: for the control thread -------------------------------------------------------------------- */

enum weir_attach_mode { WEIR_ATTACH_AUTO = 0, WEIR_ATTACH_NATIVE = 1, WEIR_ATTACH_SKB = 2 };

/*
 * Makes the two devices one wire: attaches weir's XDP program to both, or takes over the program and the maps that
 * an earlier process left attached, without a moment in which nothing is attached. `queues` is the number of queue
 * pairs that both devices must have. NULL and a line in `err` on failure, with nothing changed.
 *
 * E_DEVICE   a device does not exist or is down          E_QUEUES  a device has fewer receive or transmit queues
 * E_BUSY     another process or another program has it   E_PRIVILEGE  not allowed     E_XDP  the kernel refuses
 */
WEIR_API void *weir_wire_open(const char *inside, const char *outside, uint32_t queues, uint32_t mode,
                              uint32_t failure_open, const char *object_path, char *err, uint32_t err_bytes);

/*
 * What weir_wire_open did: out[0] WEIR_ATTACH_NATIVE or WEIR_ATTACH_SKB, out[1] 1 if it took over. `note` gets why
 * the better mode was not picked, or nothing.
 */
WEIR_API void weir_wire_info(void *wire, uint32_t *out, char *note, uint32_t note_bytes);

/*
 * Replaces the prefixes whose traffic crosses in the kernel. 20 bytes a prefix: the prefix length over a 128-bit key
 * as a u32 in the machine's order, then 16 address bytes; IPv4 as ::ffff:a.b.c.d. 0, or -1 and a line in `err`.
 */
WEIR_API int weir_wire_set_bypass(void *wire, const uint8_t *prefixes, uint32_t count, char *err,
                                  uint32_t err_bytes);

/* Writes the port's counters, summed over the CPUs, in the order of enum weir_counter. 0, or -errno. */
WEIR_API int weir_wire_counters(void *wire, uint32_t port, uint64_t *out, uint32_t count);

/* Takes the queue's sockets out of both maps: from then on its frames do what `failure_open` says. 0, or -errno. */
WEIR_API int weir_wire_release_queue(void *wire, uint32_t queue);

/* Frees the wire. `detach` removes the program as well; otherwise it stays, and frames do what `failure_open` says. */
WEIR_API void weir_wire_close(void *wire, uint32_t detach);

/* ---- the rings of one queue: for its worker thread --------------------------------------------------------- */

enum weir_zero_copy { WEIR_ZERO_COPY_AUTO = 0, WEIR_ZERO_COPY_REQUIRED = 1, WEIR_ZERO_COPY_OFF = 2 };

/*
 * `regions` tells where everything lies. Each pointer begins a mapping of its own.
 *
 *   [0..1]    control block: pointer, bytes
 *   [2..3]    UMEM: pointer, bytes
 *   [4 + 28 * port + 7 * ring ..]   ring 0 rx, 1 tx, 2 fill, 3 completion:
 *             pointer, bytes, offsets of producer, consumer, flags (~0: none) and entries, size in entries
 */
enum weir_region {
	WEIR_REGION_CONTROL = 0,
	WEIR_REGION_UMEM = 2,
	WEIR_REGION_RINGS = 4,
	WEIR_REGION_RING_WORDS = 7,
	WEIR_REGION_PORT_WORDS = 28,
	WEIR_REGION_WORDS = 60,
};

/*
 * AF_XDP sockets for queue `queue` of both ports over one UMEM of `frames` frames of `frame_bytes`. No frame arrives
 * before weir_io_start. NULL and a line in `err` on failure: E_BUSY, E_PRIVILEGE, E_ZERO_COPY, E_XDP, E_MEMORY.
 */
WEIR_API void *weir_io_open_xdp(void *wire, uint32_t queue, uint32_t frames, uint32_t frame_bytes,
                                uint32_t ring_size, uint32_t zero_copy, uint64_t *regions, char *err,
                                uint32_t err_bytes);

/* The same rings over AF_PACKET sockets, without a wire. */
WEIR_API void *weir_io_open_packet(const char *inside, const char *outside, uint32_t queue, uint32_t queues,
                                   uint32_t frames, uint32_t frame_bytes, uint32_t ring_size, uint64_t *regions,
                                   char *err, uint32_t err_bytes);

/* Lets frames arrive. To be called once the fill rings are stocked. 0, or -errno. */
WEIR_API int weir_io_start(void *io);

/*
 * The one call of a worker's step: kicks the rings that the control block names, sleeps as long as it says, writes
 * the clock and about once a second the statistics. Returns how many descriptors woke it, or -errno.
 */
WEIR_API int weir_io_turn(void *io);

/* Closes the sockets and unmaps everything. The control thread may call it for a worker that died. */
WEIR_API void weir_io_close(void *io);

/* Byte offsets in the control block, and its size. */
enum weir_control_offset {
	WEIR_CONTROL_KICK = 0,        /* in: int32, bits of enum weir_kick */
	WEIR_CONTROL_WAIT_NS = 8,     /* in: float64, 0 does not sleep */
	WEIR_CONTROL_NOW_NS = 64,     /* out: float64, CLOCK_MONOTONIC after the turn */
	WEIR_CONTROL_WAKE_FD = 72,    /* out: int32, an eventfd: writing 8 bytes to it ends a sleep */
	WEIR_CONTROL_FEATURES = 76,   /* out: int32, bits of enum weir_feature */
	WEIR_CONTROL_STATISTICS = 128, /* out: float64, WEIR_STATISTICS a port, inside first */
	WEIR_CONTROL_BYTES = 4096,
};

enum weir_kick {
	WEIR_KICK_TX_INSIDE = 1,
	WEIR_KICK_TX_OUTSIDE = 2,
	WEIR_KICK_FILL_INSIDE = 4,
	WEIR_KICK_FILL_OUTSIDE = 8,
};

enum weir_feature { WEIR_FEATURE_ZERO_COPY = 1, WEIR_FEATURE_HUGE_PAGES = 2 };

enum weir_statistic {
	WEIR_STAT_RX_DROPPED,    /* received and lost, for want of room or because longer than a frame */
	WEIR_STAT_RX_INVALID,    /* bad descriptors in the fill ring */
	WEIR_STAT_RX_RING_FULL,
	WEIR_STAT_FILL_EMPTY,
	WEIR_STAT_TX_INVALID,    /* bad descriptors in the TX ring */
	WEIR_STAT_TX_ERRORS,     /* kicks that the device refused */
	WEIR_STAT_RX_TOO_LONG,   /* longer than a frame, where the backend can tell */
	WEIR_STAT_RESERVED,
	WEIR_STATISTICS,
};

/* ---- the thread ---------------------------------------------------------------------------- */

/* Binds the calling thread to one CPU, and has it let in soon when it wakes. 0, or -errno. */
WEIR_API int weir_pin_thread(int cpu);

#endif
