/*
 * The least that an AF_XDP program does between two devices: the ceiling that weir is measured against.
 *
 *   forwarder INSIDE OUTSIDE QUEUES SECONDS [--poll] [--skb] [--cpus 1,0]
 *
 * It sets up what weir sets up: one UMEM per queue, shared by the sockets of both ports (XDP_SHARED_UMEM), with
 * fill and completion rings of their own for each port; zero-copy where the driver has it, else copy mode;
 * need_wakeup; batches of 64. A received descriptor is sent on the other port as it is. Threads spin, or with
 * --poll sleep in poll() while nothing moves. Frames are taken from the receive ring only when the other port can
 * take them; what then finds no room is dropped by the kernel, and counted there.
 */
#include "peer.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <xdp/xsk.h>

#define BATCH 64
#define FRAME_BYTES 2048
#define RING_SIZE 2048
#define FRAMES (4 * RING_SIZE)
#define PORTS 2
/* Turns without a frame before --poll sleeps. */
#define IDLE_TURNS 200
#define IDLE_MS 10

#ifndef XDP_MAX_TX_SKB_BUDGET
/* Frames that one send() transmits in copy mode: 32 unless set. Linux 6.17 and later. */
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

struct port {
	struct xsk_socket *socket;
	int fd;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
	uint32_t in_flight;
};

struct worker {
	pthread_t thread;
	unsigned queue;
	int cpu;
	bool sleeps;
	uint64_t end_ns;
	struct port ports[PORTS];
	uint64_t free_frames[FRAMES];
	uint32_t free_count;
	uint64_t forwarded[PORTS], kicks, sleeps_taken;
};

static struct worker workers[THREADS_MAX];
static const char *devices[PORTS];
static unsigned attach_flags = XDP_FLAGS_DRV_MODE;

/* ---- set-up --------------------------------------------------------------------------------------------- */

static void stock(struct worker *worker, struct port *port)
{
	uint32_t at, wanted = xsk_prod_nb_free(&port->fill, RING_SIZE);

	if (wanted > worker->free_count)
		wanted = worker->free_count;
	if (wanted == 0 || xsk_ring_prod__reserve(&port->fill, wanted, &at) != wanted)
		return;
	for (uint32_t i = 0; i < wanted; i++)
		*xsk_ring_prod__fill_addr(&port->fill, at + i) = worker->free_frames[--worker->free_count];
	xsk_ring_prod__submit(&port->fill, wanted);
}

static void open_worker(struct worker *worker)
{
	const struct xsk_umem_config umem_config = { .fill_size = RING_SIZE, .comp_size = RING_SIZE,
						     .frame_size = FRAME_BYTES };
	const struct xsk_socket_config config = { .rx_size = RING_SIZE, .tx_size = RING_SIZE,
						  .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
						  .bind_flags = XDP_USE_NEED_WAKEUP };
	const size_t bytes = (size_t)FRAMES * FRAME_BYTES;
	struct xsk_umem *umem;
	int error;

	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		die("UMEM: %s", strerror(errno));
	/* The UMEM's own fill and completion rings are those of the first socket. */
	error = xsk_umem__create(&umem, memory, bytes, &worker->ports[0].fill, &worker->ports[0].completion, &umem_config);
	if (error != 0)
		die("UMEM: %s", strerror(-error));
	for (int side = 0; side < PORTS; side++) {
		struct port *port = &worker->ports[side];
		int budget = BATCH * 2;

		error = xsk_socket__create_shared(&port->socket, devices[side], worker->queue, umem, &port->rx, &port->tx,
						  &port->fill, &port->completion, &config);
		if (error != 0)
			die("AF_XDP on %s, queue %u: %s", devices[side], worker->queue, strerror(-error));
		port->fd = xsk_socket__fd(port->socket);
		/* Older kernels know no budget: then a batch costs two kicks. */
		(void)setsockopt(port->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
	}
	for (uint32_t frame = FRAMES; frame-- > 0;)
		worker->free_frames[worker->free_count++] = (uint64_t)frame * FRAME_BYTES;
	for (int side = 0; side < PORTS; side++)
		stock(worker, &worker->ports[side]);
}

/* ---- forwarding ----------------------------------------------------------------------------------------- */

static void reclaim(struct worker *worker, struct port *port)
{
	uint32_t at, done;

	if (port->in_flight == 0)
		return;
	done = xsk_ring_cons__peek(&port->completion, RING_SIZE, &at);
	if (done == 0)
		return;
	for (uint32_t i = 0; i < done; i++)
		worker->free_frames[worker->free_count++] =
			*xsk_ring_cons__comp_addr(&port->completion, at + i) & ~(uint64_t)(FRAME_BYTES - 1);
	xsk_ring_cons__release(&port->completion, done);
	port->in_flight -= done;
}

static void kick(struct worker *worker, struct port *port)
{
	/* Nothing lies there unsent, or the kernel sees it without being told. */
	if (__atomic_load_n(port->tx.consumer, __ATOMIC_ACQUIRE) == port->tx.cached_prod ||
	    !xsk_ring_prod__needs_wakeup(&port->tx))
		return;
	worker->kicks++;
	if (sendto(port->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY &&
	    errno != ENOBUFS && errno != ENETDOWN)
		die("sending: %s", strerror(errno));
}

/* Takes a batch from one port to the other; returns how many frames moved. */
static uint32_t forward(struct worker *worker, int side)
{
	struct port *from = &worker->ports[side], *to = &worker->ports[1 - side];
	uint32_t rx_at, tx_at = 0, count, room = xsk_prod_nb_free(&to->tx, BATCH);

	if (room > BATCH)
		room = BATCH;
	count = xsk_ring_cons__peek(&from->rx, room, &rx_at);
	if (count == 0)
		return 0;
	xsk_ring_prod__reserve(&to->tx, count, &tx_at);
	for (uint32_t i = 0; i < count; i++) {
		const struct xdp_desc *in = xsk_ring_cons__rx_desc(&from->rx, rx_at + i);
		struct xdp_desc *out = xsk_ring_prod__tx_desc(&to->tx, tx_at + i);

		*out = (struct xdp_desc){ .addr = in->addr, .len = in->len };
	}
	xsk_ring_cons__release(&from->rx, count);
	xsk_ring_prod__submit(&to->tx, count);
	to->in_flight += count;
	worker->forwarded[side] += count;
	return count;
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	struct pollfd polls[PORTS];
	uint32_t idle_turns = 0, turns = 0;

	pin_to(worker->cpu);
	for (int side = 0; side < PORTS; side++)
		polls[side] = (struct pollfd){ .fd = worker->ports[side].fd, .events = POLLIN };
	while (!stopped && ((++turns & 63) != 0 || now_ns() < worker->end_ns)) {
		uint32_t moved = 0;

		for (int side = 0; side < PORTS; side++) {
			struct port *port = &worker->ports[side];

			moved += forward(worker, 1 - side);
			kick(worker, port);
			reclaim(worker, port);
			stock(worker, port);
		}
		idle_turns = moved > 0 ? 0 : idle_turns + 1;
		if (worker->sleeps && idle_turns >= IDLE_TURNS) {
			worker->sleeps_taken++;
			poll(polls, PORTS, IDLE_MS);
			/* What woke the thread is looked at once before it sleeps again. */
			idle_turns = IDLE_TURNS - 1;
			turns |= 63;
		} else if (moved == 0) {
			for (int side = 0; side < PORTS; side++)
				if (xsk_ring_prod__needs_wakeup(&worker->ports[side].fill))
					(void)recvfrom(worker->ports[side].fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		}
	}
	return NULL;
}

/* ---- the run -------------------------------------------------------------------------------------------- */

static void print_result(unsigned queues, double seconds)
{
	uint64_t up = 0, down = 0, kicks = 0, sleeps = 0;
	struct xdp_statistics sum = { 0 };
	struct xdp_options options = { 0 };
	socklen_t length = sizeof options;

	for (unsigned q = 0; q < queues; q++) {
		up += workers[q].forwarded[0];
		down += workers[q].forwarded[1];
		kicks += workers[q].kicks;
		sleeps += workers[q].sleeps_taken;
		for (int side = 0; side < PORTS; side++) {
			struct xdp_statistics one = { 0 };
			socklen_t bytes = sizeof one;

			getsockopt(workers[q].ports[side].fd, SOL_XDP, XDP_STATISTICS, &one, &bytes);
			sum.rx_dropped += one.rx_dropped;
			sum.rx_ring_full += one.rx_ring_full;
			sum.rx_fill_ring_empty_descs += one.rx_fill_ring_empty_descs;
			sum.tx_invalid_descs += one.tx_invalid_descs;
		}
	}
	getsockopt(workers[0].ports[0].fd, SOL_XDP, XDP_OPTIONS, &options, &length);
	printf("{\"up\":%llu,\"down\":%llu,\"seconds\":%.3f,\"pps\":%.0f,\"cpuSeconds\":%.3f,\"zeroCopy\":%s,\"kicks\":%llu,\"sleeps\":%llu,"
	       "\"rxDropped\":%llu,\"rxRingFull\":%llu,\"fillEmpty\":%llu,\"txInvalid\":%llu}\n",
	       (unsigned long long)up, (unsigned long long)down, seconds, (double)(up + down) / seconds, cpu_seconds(),
	       options.flags & XDP_OPTIONS_ZEROCOPY ? "true" : "false", (unsigned long long)kicks,
	       (unsigned long long)sleeps, (unsigned long long)sum.rx_dropped, (unsigned long long)sum.rx_ring_full,
	       (unsigned long long)sum.rx_fill_ring_empty_descs, (unsigned long long)sum.tx_invalid_descs);
}

static int attached[PORTS];

/* Also when the run fails: an attached program would outlive it. */
static void detach_all(void)
{
	for (int side = 0; side < PORTS; side++)
		if (attached[side] > 0)
			bpf_xdp_detach(attached[side], attach_flags, NULL);
}

/* A program and a map of its own for each port. */
static void attach(int side, int ifindex, unsigned queues)
{
	struct bpf_object *object = bpf_object__open_file(object_path("forwarder"), NULL);

	if (object == NULL || bpf_object__load(object) != 0)
		die("%s: %s", object_path("forwarder"), strerror(errno));
	int map = bpf_object__find_map_fd_by_name(object, "sockets");
	for (uint32_t q = 0; q < queues; q++)
		if (bpf_map_update_elem(map, &q, &workers[q].ports[side].fd, 0) != 0)
			die("socket of %s, queue %u: %s", devices[side], q, strerror(errno));
	int program = bpf_program__fd(bpf_object__find_program_by_name(object, "forward"));
	int error = bpf_xdp_attach(ifindex, program, attach_flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (error != 0)
		die("XDP on %s: %s", devices[side], strerror(-error));
	attached[side] = ifindex;
}

int main(int count, char **words)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const unsigned online = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	int cpus[THREADS_MAX], ifindexes[PORTS];
	bool sleeps = false;
	unsigned cpu_count = 0;

	if (count < 5)
		die("usage: forwarder INSIDE OUTSIDE QUEUES SECONDS [--poll] [--skb] [--cpus 1,0]");
	for (int side = 0; side < PORTS; side++) {
		devices[side] = words[1 + side];
		ifindexes[side] = (int)device_index(devices[side]);
	}
	if (ifindexes[0] == ifindexes[1])
		die("INSIDE and OUTSIDE are one device");
	const unsigned queues = (unsigned)number_of("QUEUES", words[3], 1, THREADS_MAX);
	const double seconds = number_of("SECONDS", words[4], 0, SECONDS_MAX);
	for (int i = 5; i < count; i++) {
		if (strcmp(words[i], "--poll") == 0)
			sleeps = true;
		else if (strcmp(words[i], "--skb") == 0)
			attach_flags = XDP_FLAGS_SKB_MODE;
		else if (strcmp(words[i], "--cpus") == 0 && i + 1 < count)
			cpu_count = cpu_list(words[++i], cpus);
		else
			die("%s: unknown", words[i]);
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	stop_on_signals();
	for (unsigned q = 0; q < queues; q++) {
		workers[q].queue = q;
		open_worker(&workers[q]);
	}
	atexit(detach_all);
	for (int side = 0; side < PORTS; side++)
		attach(side, ifindexes[side], queues);
	fputs("ready\n", stderr);
	const uint64_t start_ns = now_ns();
	for (unsigned q = 0; q < queues; q++) {
		/* The last CPU first, because generators usually begin with CPU 0. */
		workers[q].cpu = cpu_count > 0 ? cpus[q % cpu_count] : (int)((online - 1 - q % online));
		workers[q].sleeps = sleeps;
		workers[q].end_ns = start_ns + (uint64_t)(seconds * NS_PER_SECOND);
		if (pthread_create(&workers[q].thread, NULL, run, &workers[q]) != 0)
			die("thread: %s", strerror(errno));
	}
	for (unsigned q = 0; q < queues; q++)
		pthread_join(workers[q].thread, NULL);
	print_result(queues, (double)(now_ns() - start_ns) / NS_PER_SECOND);
	return 0;
}
