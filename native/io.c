/* What a worker's step needs of the kernel, whatever the backend: kick, sleep, clock, statistics. */
#define _GNU_SOURCE
#include "io.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull
#define WORKER_SLICE_NS 500000ull
#define HUGE_PAGE_BYTES (2u << 20)
/* A longer sleep is cut into pieces: nobody can notice, and no number of nanoseconds overflows. */
#define WAIT_MAX_NS 3600e9

int weir_fail(char *err, size_t err_bytes, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(err, err_bytes, format, args);
	va_end(args);
	return -1;
}

uint64_t weir_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- mappings ------------------------------------------------------------------------------------------- */

/* Reserves address space for `bytes`, aligned to `align`, with an unmapped stretch of `align` on either side. */
static int reserve(struct weir_mapping *mapping, size_t bytes, size_t align)
{
	size_t rounded = (bytes + align - 1) / align * align;
	size_t total = rounded + 3 * align;
	uint8_t *base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	mapping->reserved = base;
	mapping->reserved_bytes = total;
	mapping->data = (uint8_t *)(((uintptr_t)base + 2 * align - 1) / align * align);
	mapping->bytes = bytes;
	return 0;
}

static int place(struct weir_mapping *mapping, size_t bytes, int flags, int fd, uint64_t offset)
{
	void *data = mmap(mapping->data, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_POPULATE, fd,
			  (off_t)offset);
	return data == MAP_FAILED ? -errno : 0;
}

/*
 * Frames and rings stay in memory where the limit of locked memory allows; without it they are merely likely to. The
 * process as a whole cannot be locked: its JavaScript engine ends itself when the kernel refuses to take pages back.
 */
static void keep_in_memory(void *data, size_t bytes)
{
	mlock(data, bytes);
}

int weir_map(struct weir_mapping *mapping, int fd, uint64_t offset, size_t bytes)
{
	int failure = reserve(mapping, bytes, (size_t)sysconf(_SC_PAGESIZE));
	if (failure)
		return failure;
	failure = place(mapping, bytes, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, offset);
	if (failure)
		weir_unmap(mapping);
	else
		keep_in_memory(mapping->data, bytes);
	return failure;
}

int weir_map_umem(struct weir_mapping *mapping, size_t bytes, int *huge)
{
	size_t rounded = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
	int failure = reserve(mapping, bytes, HUGE_PAGE_BYTES);
	*huge = 0;
	if (failure)
		return failure;
	/* Pages of this kind are never paged out. */
	if (place(mapping, rounded, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0) == 0) {
		*huge = 1;
		return 0;
	}
	/* Without reserved huge pages the kernel may still find some, if it hears of it before the pages are touched. */
	void *data = mmap(mapping->data, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (data == MAP_FAILED) {
		failure = -errno;
		weir_unmap(mapping);
		return failure;
	}
	madvise(data, rounded, MADV_HUGEPAGE);
	memset(data, 0, bytes);
	keep_in_memory(data, bytes);
	return 0;
}

void weir_unmap(struct weir_mapping *mapping)
{
	if (mapping->reserved)
		munmap(mapping->reserved, mapping->reserved_bytes);
	memset(mapping, 0, sizeof(*mapping));
}

/* ---- begin and end --------------------------------------------------------------------------------------- */

static void set_int32(struct weir_io *io, size_t offset, int32_t value)
{
	memcpy(io->control + offset, &value, sizeof(value));
}

static void set_double(struct weir_io *io, size_t offset, double value)
{
	memcpy(io->control + offset, &value, sizeof(value));
}

int weir_io_begin(struct weir_io *io, const struct weir_io_ops *ops, uint64_t *regions, char *err, size_t err_bytes)
{
	io->ops = ops;
	io->control = NULL;
	io->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (io->wake_fd < 0)
		return weir_fail(err, err_bytes, "E_MEMORY: eventfd: %s", strerror(errno));
	struct weir_mapping mapping = {0};
	int failure = weir_map(&mapping, -1, 0, WEIR_CONTROL_BYTES);
	if (failure) {
		weir_io_finish(io);
		return weir_fail(err, err_bytes, "E_MEMORY: the control block: %s", strerror(-failure));
	}
	io->control_mapping = mapping;
	io->control = mapping.data;
	set_int32(io, WEIR_CONTROL_WAKE_FD, io->wake_fd);
	set_double(io, WEIR_CONTROL_NOW_NS, (double)weir_now_ns());
	for (int port = 0; port < WEIR_PORTS; port++)
		io->polled[port] = (struct pollfd){.fd = -1, .events = POLLIN};
	io->polled[WEIR_PORTS] = (struct pollfd){.fd = io->wake_fd, .events = POLLIN};
	io->statistics_due_ns = 0;
	regions[WEIR_REGION_CONTROL] = (uint64_t)(uintptr_t)io->control;
	regions[WEIR_REGION_CONTROL + 1] = WEIR_CONTROL_BYTES;
	/* The kernel rounds sleeps of ordinary threads up by 50 microseconds unless told otherwise. */
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	return 0;
}

void weir_io_finish(struct weir_io *io)
{
	if (io->wake_fd >= 0)
		close(io->wake_fd);
	io->wake_fd = -1;
	weir_unmap(&io->control_mapping);
	io->control = NULL;
}

void weir_io_set_features(struct weir_io *io, int32_t features)
{
	set_int32(io, WEIR_CONTROL_FEATURES, features);
}

/* ---- the turn -------------------------------------------------------------------------------------------- */

static int sleep_until_ready(struct weir_io *io, double wait_ns)
{
	uint64_t whole_ns = (uint64_t)(wait_ns < WAIT_MAX_NS ? wait_ns : WAIT_MAX_NS);
	struct timespec timeout = {.tv_sec = (time_t)(whole_ns / NS_PER_SECOND),
				   .tv_nsec = (long)(whole_ns % NS_PER_SECOND)};
	int ready = ppoll(io->polled, WEIR_PORTS + 1, &timeout, NULL);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	if (io->polled[WEIR_PORTS].revents & POLLIN) {
		uint64_t wakes;
		/* What counts is that the descriptor is empty again; how often it was written does not matter. */
		if (read(io->wake_fd, &wakes, sizeof(wakes)) < 0 && errno != EAGAIN)
			return -errno;
	}
	return ready;
}

int weir_io_turn(void *handle)
{
	struct weir_io *io = handle;
	int32_t mask;
	double wait_ns;
	memcpy(&mask, io->control + WEIR_CONTROL_KICK, sizeof(mask));
	memcpy(&wait_ns, io->control + WEIR_CONTROL_WAIT_NS, sizeof(wait_ns));
	if (mask)
		io->ops->kick(io, (uint32_t)mask);
	int ready = wait_ns > 0 ? sleep_until_ready(io, wait_ns) : 0;
	if (io->ops->collect)
		io->ops->collect(io);
	uint64_t now_ns = weir_now_ns();
	set_double(io, WEIR_CONTROL_NOW_NS, (double)now_ns);
	if (now_ns >= io->statistics_due_ns) {
		io->statistics_due_ns = now_ns + NS_PER_SECOND;
		io->ops->statistics(io, (double *)(void *)(io->control + WEIR_CONTROL_STATISTICS));
	}
	return ready;
}

int weir_io_start(void *handle)
{
	struct weir_io *io = handle;
	return io->ops->start(io);
}

void weir_io_close(void *handle)
{
	struct weir_io *io = handle;
	io->ops->close(io);
}

/* ---- the thread --------------------------------------------------------------------------- */

/* The first version of struct sched_attr; the C library has none. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/*
 * Asks for short slices: since Linux 6.12 a thread that wakes and wants shorter ones than the thread that runs is let
 * in at once, where it would wait up to some milliseconds and a bucket that holds one would have overflowed. The nice
 * value stays: workers ahead of all others would starve the threads that compile their code. Older kernels pay no heed.
 */
static void want_short_slices(void)
{
	struct scheduling wanted = {.size = sizeof(wanted), .runtime = WORKER_SLICE_NS};

	wanted.nice = getpriority(PRIO_PROCESS, 0);
	syscall(SYS_sched_setattr, 0, &wanted, 0);
}

int weir_pin_thread(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	want_short_slices();
	return 0;
}
