/*
 * A file of frames and times, in the machine's byte order: what replay sends and record writes.
 *
 *   | at_ns, 8 | bytes, 4 | 0, 4 | the frame, filled up with 0 to a multiple of 8 | next …
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>

struct frame_record {
	/* Since the first frame. */
	uint64_t at_ns;
	uint32_t bytes;
	uint32_t pad;
};

/* A jumbo frame and what a device may make of segments. */
#define RECORD_BYTES_MAX 65536
#define RECORD_ALIGN 8

static inline uint64_t padded_bytes(uint32_t bytes)
{
	return ((uint64_t)bytes + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

#endif
