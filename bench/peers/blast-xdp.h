/* blast by an AF_XDP socket that only sends, in copy mode: for kernels without live frames. */
#ifndef BLAST_XDP_H
#define BLAST_XDP_H

#include "blast-frames.h"
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#define XDP_FRAMES 1024
#define XDP_FRAME_BYTES 2048
/* What one send() transmits in copy mode; see forwarder.c. */
#define XDP_KICK_FRAMES 32

/* One a thread. The slots are used in turn, and the device gives them back in that order. */
static _Thread_local struct {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion;
	unsigned in_flight;
} xdp;

static void open_xdp(struct sender *sender)
{
	const struct xsk_umem_config umem = { .fill_size = XDP_FRAMES, .comp_size = XDP_FRAMES,
					      .frame_size = XDP_FRAME_BYTES };
	const struct xsk_socket_config config = { .tx_size = XDP_FRAMES, .bind_flags = XDP_COPY,
						  .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD };
	const size_t bytes = (size_t)XDP_FRAMES * XDP_FRAME_BYTES;

	sender->slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sender->slots == MAP_FAILED)
		die("AF_XDP: %s", strerror(errno));
	int error = xsk_umem__create(&xdp.umem, sender->slots, bytes, &xdp.fill, &xdp.completion, &umem);

	if (error == 0)
		error = xsk_socket__create(&xdp.socket, sender->options->device, sender->number, xdp.umem, NULL,
					   &xdp.tx, &config);
	if (error != 0)
		die("AF_XDP on queue %u of %s, one for each thread: %s", sender->number, sender->options->device,
		    strerror(-error));
	sender->socket_fd = xsk_socket__fd(xdp.socket);
}

static void reclaim(void)
{
	uint32_t at, done = xsk_ring_cons__peek(&xdp.completion, XDP_FRAMES, &at);

	xsk_ring_cons__release(&xdp.completion, done);
	xdp.in_flight -= done;
}

static void send_xdp(struct sender *sender, unsigned frames, uint64_t now)
{
	uint32_t at;

	reclaim();
	if (frames > XDP_FRAMES - xdp.in_flight)
		frames = XDP_FRAMES - xdp.in_flight;
	frames = xsk_ring_prod__reserve(&xdp.tx, frames, &at);
	for (unsigned i = 0; i < frames; i++) {
		const uint64_t address = (uint64_t)sender->slot * XDP_FRAME_BYTES;
		const unsigned bytes = next_frame(sender, now);

		memcpy(sender->slots + address, sender->frame, bytes);
		*xsk_ring_prod__tx_desc(&xdp.tx, at + i) = (struct xdp_desc){ .addr = address, .len = bytes };
		sender->slot = (sender->slot + 1) % XDP_FRAMES;
	}
	xsk_ring_prod__submit(&xdp.tx, frames);
	xdp.in_flight += frames;
	for (unsigned kicks = 0; kicks <= frames / XDP_KICK_FRAMES; kicks++)
		if (sendto(sender->socket_fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY &&
		    errno != ENOBUFS && errno != EINTR)
			die("sending on %s: %s", sender->options->device, strerror(errno));
}

static bool xdp_is_sent(struct sender *sender)
{
	(void)sender;
	reclaim();
	return xdp.in_flight == 0;
}

static void run_xdp(struct sender *sender)
{
	open_xdp(sender);
	send_due(sender, XDP_FRAMES / 8, send_xdp, xdp_is_sent);
	xsk_socket__delete(xdp.socket);
	xsk_umem__delete(xdp.umem);
}

#endif
