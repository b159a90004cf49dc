/*
 * AF_XDP sockets, by the system calls that Documentation/networking/af_xdp.rst describes.
 *
 * One worker has one UMEM and two sockets on it, one for each port, so a frame that came in at one port goes out at
 * the other where it lies. The inside port's socket registers the UMEM and the outside port's shares it
 * (XDP_SHARED_UMEM); being on another device, it needs a fill and a completion ring of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>

#include "io.h"
#include "wire.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
/* Since Linux 6.17; older headers do not know it. */
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

#define RINGS 4
enum ring { RX, TX, FILL, COMPLETION };

/* What one send takes out of the TX ring where the kernel cannot be told otherwise. */
#define TX_BATCH_MIN 32

#define BIND_TRIES_MAX 50
#define BIND_PAUSE_US 10000

struct xsk_port {
	int fd;
	struct weir_mapping ring[RINGS];
	/* Where the TX ring's indices lie. */
	const uint32_t *tx_producer;
	const uint32_t *tx_consumer;
	uint64_t tx_errors;
};

struct xsk_io {
	struct weir_io io;
	struct weir_wire *wire;
	uint32_t queue;
	uint32_t ring_size;
	struct weir_mapping umem;
	struct xsk_port port[WEIR_PORTS];
};

/* ---- the turn -------------------------------------------------------------------------------------------------- */

/*
 * Has the kernel take what lies in the TX ring. In copy mode a call takes a bounded number of frames, and says EAGAIN
 * when it left some; it also says so when it cannot take any more for now, which shows in the ring standing still.
 */
static void send_all(struct xsk_port *port, uint32_t ring_size)
{
	uint32_t calls_max = ring_size / TX_BATCH_MIN + 1;
	uint32_t producer = __atomic_load_n(port->tx_producer, __ATOMIC_RELAXED);
	uint32_t consumer = __atomic_load_n(port->tx_consumer, __ATOMIC_ACQUIRE);
	for (uint32_t calls = 0; calls < calls_max && consumer != producer; calls++) {
		if (sendto(port->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS && errno != EINTR) {
			port->tx_errors++;
			return;
		}
		uint32_t now = __atomic_load_n(port->tx_consumer, __ATOMIC_ACQUIRE);
		if (now == consumer)
			return;
		consumer = now;
	}
}

static void xsk_kick(struct weir_io *io, uint32_t mask)
{
	struct xsk_io *xsk = (struct xsk_io *)io;
	for (int port = 0; port < WEIR_PORTS; port++) {
		if (mask & (uint32_t)(WEIR_KICK_TX_INSIDE << port))
			send_all(&xsk->port[port], xsk->ring_size);
		if (mask & (uint32_t)(WEIR_KICK_FILL_INSIDE << port))
			recvfrom(xsk->port[port].fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

static void xsk_statistics(struct weir_io *io, double *out)
{
	struct xsk_io *xsk = (struct xsk_io *)io;
	for (int port = 0; port < WEIR_PORTS; port++, out += WEIR_STATISTICS) {
		struct xdp_statistics counts = {0};
		socklen_t bytes = sizeof(counts);
		if (getsockopt(xsk->port[port].fd, SOL_XDP, XDP_STATISTICS, &counts, &bytes))
			continue;
		out[WEIR_STAT_RX_DROPPED] = (double)counts.rx_dropped;
		out[WEIR_STAT_RX_INVALID] = (double)counts.rx_invalid_descs;
		out[WEIR_STAT_RX_RING_FULL] = (double)counts.rx_ring_full;
		out[WEIR_STAT_FILL_EMPTY] = (double)counts.rx_fill_ring_empty_descs;
		out[WEIR_STAT_TX_INVALID] = (double)counts.tx_invalid_descs;
		out[WEIR_STAT_TX_ERRORS] = (double)xsk->port[port].tx_errors;
	}
}

static int xsk_start(struct weir_io *io)
{
	struct xsk_io *xsk = (struct xsk_io *)io;
	for (int port = 0; port < WEIR_PORTS; port++) {
		int failure = bpf_map_update_elem(xsk->wire->xsk_fd[port], &xsk->queue, &xsk->port[port].fd, BPF_ANY);
		if (failure)
			return failure;
	}
	return 0;
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static void close_sockets(struct xsk_io *xsk)
{
	for (int port = 0; port < WEIR_PORTS; port++) {
		for (int ring = 0; ring < RINGS; ring++)
			weir_unmap(&xsk->port[port].ring[ring]);
		if (xsk->port[port].fd >= 0)
			close(xsk->port[port].fd);
		xsk->port[port].fd = -1;
	}
}

static void xsk_close(struct weir_io *io)
{
	struct xsk_io *xsk = (struct xsk_io *)io;
	close_sockets(xsk);
	weir_unmap(&xsk->umem);
	weir_io_finish(io);
	free(xsk);
}

static const struct weir_io_ops xsk_ops = {
	.start = xsk_start,
	.kick = xsk_kick,
	.statistics = xsk_statistics,
	.close = xsk_close,
};

static int map_ring(struct xsk_port *port, enum ring ring, const struct xdp_ring_offset *offset, uint64_t page_offset,
		    uint32_t size, uint64_t *regions)
{
	size_t entry_bytes = ring == RX || ring == TX ? sizeof(struct xdp_desc) : sizeof(uint64_t);
	struct weir_mapping *mapping = &port->ring[ring];
	int failure = weir_map(mapping, port->fd, page_offset, offset->desc + size * entry_bytes);
	if (failure)
		return failure;
	uint64_t *words = regions + ring * WEIR_REGION_RING_WORDS;
	words[0] = (uint64_t)(uintptr_t)mapping->data;
	words[1] = mapping->bytes;
	words[2] = offset->producer;
	words[3] = offset->consumer;
	words[4] = offset->flags;
	words[5] = offset->desc;
	words[6] = size;
	if (ring == TX) {
		port->tx_producer = (const uint32_t *)(void *)(mapping->data + offset->producer);
		port->tx_consumer = (const uint32_t *)(void *)(mapping->data + offset->consumer);
	}
	return 0;
}

static int map_rings(struct xsk_port *port, uint32_t size, uint64_t *regions)
{
	struct xdp_mmap_offsets offsets;
	socklen_t bytes = sizeof(offsets);
	if (getsockopt(port->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes))
		return -errno;
	int failure = map_ring(port, RX, &offsets.rx, XDP_PGOFF_RX_RING, size, regions);
	if (!failure)
		failure = map_ring(port, TX, &offsets.tx, XDP_PGOFF_TX_RING, size, regions);
	if (!failure)
		failure = map_ring(port, FILL, &offsets.fr, XDP_UMEM_PGOFF_FILL_RING, size, regions);
	if (!failure)
		failure = map_ring(port, COMPLETION, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, size, regions);
	return failure;
}

static int size_rings(int fd, uint32_t size)
{
	static const int options[RINGS] = {XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING};
	for (int ring = 0; ring < RINGS; ring++)
		if (setsockopt(fd, SOL_XDP, options[ring], &size, sizeof(size)))
			return -errno;
	return 0;
}

/* What makes copy mode faster. Kernels that do not know an option do without it. */
static void tune_socket(int fd, uint32_t ring_size, uint32_t frame_bytes)
{
	/* A whole ring in one call, instead of 32 frames. */
	setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &ring_size, sizeof(ring_size));
	/* Room for a whole ring of frames on their way, each with the kernel's own overhead. */
	uint64_t wanted = (uint64_t)ring_size * (frame_bytes + 1024ull);
	int bytes = wanted < (1u << 30) ? (int)wanted : 1 << 30;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
}

static int bind_port(struct xsk_io *xsk, int port, uint16_t copy_flag)
{
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = xsk->wire->ifindex[port],
		.sxdp_queue_id = xsk->queue,
		.sxdp_flags = (uint16_t)(copy_flag | XDP_USE_NEED_WAKEUP),
	};
	/* A socket that shares a UMEM takes the mode of the first one, and may not ask for any. */
	if (port != WEIR_INSIDE) {
		address.sxdp_flags = XDP_SHARED_UMEM;
		address.sxdp_shared_umem_fd = (uint32_t)xsk->port[WEIR_INSIDE].fd;
	}
	/* The kernel frees the queue of a socket that was closed a little later, in a thread of its own. */
	for (int tries = 0; bind(xsk->port[port].fd, (struct sockaddr *)&address, sizeof(address)); tries++) {
		if (errno != EBUSY || tries == BIND_TRIES_MAX)
			return -errno;
		usleep(BIND_PAUSE_US);
	}
	return 0;
}

/* Opens and binds both sockets in one mode. 0, or -errno with `step` saying what failed at port `at`. */
static int open_sockets(struct xsk_io *xsk, uint32_t frame_bytes, uint16_t copy_flag, uint64_t *regions,
			const char **step, int *at)
{
	struct xdp_umem_reg umem = {
		.addr = (uint64_t)(uintptr_t)xsk->umem.data, .len = xsk->umem.bytes, .chunk_size = frame_bytes};
	int failure = 0;
	for (int port = 0; !failure && port < WEIR_PORTS; port++) {
		struct xsk_port *opened = &xsk->port[port];
		*at = port;
		*step = "socket";
		opened->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (opened->fd < 0)
			return -errno;
		*step = "UMEM";
		if (port == WEIR_INSIDE && setsockopt(opened->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)))
			return -errno;
		*step = "rings";
		failure = size_rings(opened->fd, xsk->ring_size);
		if (!failure)
			failure = map_rings(opened, xsk->ring_size,
					    regions + WEIR_REGION_RINGS + port * WEIR_REGION_PORT_WORDS);
		if (failure)
			return failure;
		*step = "bind";
		failure = bind_port(xsk, port, copy_flag);
		tune_socket(opened->fd, xsk->ring_size, frame_bytes);
	}
	return failure;
}

static int explain(const struct xsk_io *xsk, int failure, const char *step, int port, int zero_copy, char *err,
		   size_t err_bytes)
{
	const char *device = xsk->wire->device[port];
	const char *reason = strerror(-failure);
	if (failure == -EBUSY)
		return weir_fail(err, err_bytes, "E_BUSY: %s: another process has queue %u", device, xsk->queue);
	if (failure == -EPERM || failure == -EACCES)
		return weir_fail(err, err_bytes, "E_PRIVILEGE: AF_XDP takes root, or CAP_NET_RAW");
	if (failure == -ENOMEM || failure == -ENOBUFS)
		return weir_fail(err, err_bytes, "E_MEMORY: %s, queue %u: %s: %s; is the limit of locked memory (ulimit -l, "
				 "LimitMEMLOCK) too low, and CAP_IPC_LOCK missing?", device, xsk->queue, step, reason);
	return weir_fail(err, err_bytes, "%s: %s, queue %u: AF_XDP %s: %s", zero_copy ? "E_ZERO_COPY" : "E_XDP", device,
			 xsk->queue, step, reason);
}

static int open_in_best_mode(struct xsk_io *xsk, uint32_t frame_bytes, uint32_t zero_copy, uint64_t *regions, char *err,
			     size_t err_bytes)
{
	const char *step = "";
	int port = 0;
	/* A driver that runs no program of its own cannot give its memory away either. */
	int may_zero_copy = zero_copy != WEIR_ZERO_COPY_OFF && xsk->wire->mode == WEIR_ATTACH_NATIVE;
	if (zero_copy == WEIR_ZERO_COPY_REQUIRED && !may_zero_copy)
		return weir_fail(err, err_bytes, "E_ZERO_COPY: %s: the XDP program is attached in skb mode",
				 xsk->wire->device[WEIR_INSIDE]);
	if (may_zero_copy) {
		int failure = open_sockets(xsk, frame_bytes, XDP_ZEROCOPY, regions, &step, &port);
		if (!failure)
			return WEIR_FEATURE_ZERO_COPY;
		close_sockets(xsk);
		/* Another owner of the queue or a lack of rights is not going to be better without zero-copy. */
		if (zero_copy == WEIR_ZERO_COPY_REQUIRED || failure == -EBUSY || failure == -EPERM)
			return explain(xsk, failure, step, port, 1, err, err_bytes);
	}
	int failure = open_sockets(xsk, frame_bytes, XDP_COPY, regions, &step, &port);
	return failure ? explain(xsk, failure, step, port, 0, err, err_bytes) : 0;
}

static int open_xsk(struct xsk_io *xsk, uint32_t frames, uint32_t frame_bytes, uint32_t zero_copy, uint64_t *regions,
		    char *err, size_t err_bytes)
{
	int huge = 0;
	if (weir_io_begin(&xsk->io, &xsk_ops, regions, err, err_bytes))
		return -1;
	int failure = weir_map_umem(&xsk->umem, (size_t)frames * frame_bytes, &huge);
	if (failure)
		return weir_fail(err, err_bytes, "E_MEMORY: %u frames of %u bytes: %s", frames, frame_bytes,
				 strerror(-failure));
	regions[WEIR_REGION_UMEM] = (uint64_t)(uintptr_t)xsk->umem.data;
	regions[WEIR_REGION_UMEM + 1] = xsk->umem.bytes;
	int features = open_in_best_mode(xsk, frame_bytes, zero_copy, regions, err, err_bytes);
	if (features < 0)
		return -1;
	weir_io_set_features(&xsk->io, features | (huge ? WEIR_FEATURE_HUGE_PAGES : 0));
	for (int port = 0; port < WEIR_PORTS; port++)
		xsk->io.polled[port].fd = xsk->port[port].fd;
	failure = weir_wire_set_frame_bytes_max(xsk->wire, frame_bytes - XDP_PACKET_HEADROOM);
	return failure ? weir_fail(err, err_bytes, "E_XDP: the program's maps: %s", strerror(-failure)) : 0;
}

void *weir_io_open_xdp(void *wire, uint32_t queue, uint32_t frames, uint32_t frame_bytes, uint32_t ring_size,
		       uint32_t zero_copy, uint64_t *regions, char *err, uint32_t err_bytes)
{
	struct xsk_io *xsk = calloc(1, sizeof(*xsk));
	if (!xsk) {
		weir_fail(err, err_bytes, "E_MEMORY: no memory for the rings");
		return NULL;
	}
	xsk->wire = wire;
	xsk->queue = queue;
	xsk->ring_size = ring_size;
	xsk->io.wake_fd = -1;
	xsk->port[WEIR_INSIDE].fd = xsk->port[WEIR_OUTSIDE].fd = -1;
	if (open_xsk(xsk, frames, frame_bytes, zero_copy, regions, err, err_bytes)) {
		xsk_close(&xsk->io);
		return NULL;
	}
	return xsk;
}
