/*
 * What the backends share: the control block, the sleep, the clock. A backend embeds `struct weir_io` as the first
 * member of its own state and fills in `ops`; io.c does the rest.
 */
#ifndef WEIR_IO_H
#define WEIR_IO_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "weir.h"

struct weir_io;

struct weir_io_ops {
	/* Lets frames arrive. 0, or -errno. */
	int (*start)(struct weir_io *io);
	/* Before the sleep: sends what lies in the TX rings, wakes the fill rings; `mask` is of enum weir_kick. */
	void (*kick)(struct weir_io *io, uint32_t mask);
	/* After the sleep, on every turn: moves frames that arrived into the rings. NULL where the kernel does that. */
	void (*collect)(struct weir_io *io);
	/* Writes totals since the start, WEIR_STATISTICS a port. */
	void (*statistics)(struct weir_io *io, double *out);
	/* Frees the backend's state, `io` included, after weir_io_finish. */
	void (*close)(struct weir_io *io);
};

/* A mapping with an unmapped page on either side: views of neighbours never touch. */
struct weir_mapping {
	uint8_t *data;
	size_t bytes;
	/* What was reserved around it. */
	uint8_t *reserved;
	size_t reserved_bytes;
};

struct weir_io {
	const struct weir_io_ops *ops;
	/* WEIR_CONTROL_BYTES, see weir.h. */
	uint8_t *control;
	struct weir_mapping control_mapping;
	int wake_fd;
	/* What ends a sleep: the sockets of both ports, which the backend fills in, and last the wake fd. */
	struct pollfd polled[WEIR_PORTS + 1];
	uint64_t statistics_due_ns;
};

/* Prepares control block and wake fd. 0, or -1 and a line in `err`. */
int weir_io_begin(struct weir_io *io, const struct weir_io_ops *ops, uint64_t *regions, char *err, size_t err_bytes);

/* Undoes weir_io_begin; harmless on a zeroed struct with wake_fd -1. */
void weir_io_finish(struct weir_io *io);

void weir_io_set_features(struct weir_io *io, int32_t features);

/* Maps `fd` at `offset` (anonymous memory if fd is -1), populated and shared. 0, or -errno. */
int weir_map(struct weir_mapping *mapping, int fd, uint64_t offset, size_t bytes);

/* The same for a UMEM: anonymous, in huge pages where there are any; then *huge is 1. */
int weir_map_umem(struct weir_mapping *mapping, size_t bytes, int *huge);

/* Harmless on a zeroed mapping. */
void weir_unmap(struct weir_mapping *mapping);

uint64_t weir_now_ns(void);

/* Writes a line into `err`. Always returns -1, for `return weir_fail(...)`. */
int weir_fail(char *err, size_t err_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
