/*
 * The packet backend: the rings of AF_XDP over AF_PACKET sockets, for cards without XDP and for old kernels. What the
 * kernel does for an AF_XDP socket is done here, in the worker's turn:
 *
 *   TPACKET_V3 block --copy--> frame taken from the fill ring --> RX ring
 *   TX ring --copy--> slot of the TPACKET_V3 transmit ring, and at once --> completion ring
 *
 * The workers of a port share its packets by PACKET_FANOUT_HASH, whose hash is symmetric, so that both directions of a
 * flow stay on one worker, and fragments of a datagram together. PACKET_FANOUT_QM would follow the card's own queues,
 * but the kernel counts those from 0 or from 1 depending on the driver, and cards with one queue would feed one worker.
 *
 * The sockets speak in virtio_net headers (PACKET_VNET_HDR): those tell where a checksum must be completed that a
 * sender on this machine left to the device, and which frames are segments yet to be cut. The latter cannot be sent
 * on as one frame and are counted as too long, whatever their length: segmentation offloads and GRO must be off.
 *
 * Facts from packet(7), Documentation/networking/packet_mmap.rst and net/packet/af_packet.c of Linux.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "packet.h"

/* Since Linux 6.2; older kernels take no notice, and the socket filter does the same a little later. */
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

/* The kernel's own bound is the MTU; two tags on top of it are what a provider's frame may carry. */
#define LINK_BYTES (ETH_HLEN + 2 * 4)
#define BLOCKS_MIN 16
#define FANOUT_GROUP_BASE 0x7765
/* A block that does not fill up is handed over after this time; it is the delay that V3 adds to thin traffic. */
#define BLOCK_RETIRE_MS 1

/* ---- the turn ---------------------------------------------------------------------------------------------- */

static void packet_kick(struct weir_io *io, uint32_t mask)
{
	struct packet_io *self = (struct packet_io *)(void *)io;
	if (mask & WEIR_KICK_TX_INSIDE)
		weir_packet_transmit(self, &self->ports[WEIR_INSIDE]);
	if (mask & WEIR_KICK_TX_OUTSIDE)
		weir_packet_transmit(self, &self->ports[WEIR_OUTSIDE]);
}

static void packet_collect(struct weir_io *io)
{
	struct packet_io *self = (struct packet_io *)(void *)io;
	for (int side = 0; side < WEIR_PORTS; side++) {
		struct port *port = &self->ports[side];
		if (io->polled[side].revents & POLLERR) {
			/* A device that went down leaves an error that would end every sleep until it is read. */
			int error;
			socklen_t bytes = sizeof(error);
			getsockopt(port->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
		}
		weir_packet_send(self, port);
		weir_packet_receive(self, port);
	}
}

static void learn_mtu(struct port *port)
{
	struct ifreq asked = {0};
	memcpy(asked.ifr_name, port->device, IF_NAMESIZE);
	if (ioctl(port->fd, SIOCGIFMTU, &asked) == 0)
		port->frame_bytes_max = (uint32_t)asked.ifr_mtu + LINK_BYTES;
}

static void packet_statistics(struct weir_io *io, double *out)
{
	struct packet_io *self = (struct packet_io *)(void *)io;
	for (int side = 0; side < WEIR_PORTS; side++) {
		struct port *port = &self->ports[side];
		struct tpacket_stats_v3 since = {0};
		socklen_t bytes = sizeof(since);
		/* The kernel begins at 0 again whenever it is asked. */
		if (getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &since, &bytes) == 0)
			port->statistics[WEIR_STAT_RX_DROPPED] += since.tp_drops;
		learn_mtu(port);
		for (int i = 0; i < WEIR_STATISTICS; i++)
			out[side * WEIR_STATISTICS + i] = (double)port->statistics[i];
	}
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

/* Lets nothing pass, or all that was not sent by this machine, cut off after `bytes`. 0, or -errno. */
static int set_filter(const struct port *port, uint32_t bytes)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, bytes),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(port->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

static int bind_port(const struct port *port, uint16_t protocol)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)port->ifindex};
	return bind(port->fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

/* Until its filter opens, a socket is deaf: bound and not yet in the group, it would get every worker's packets. */
static int packet_start(struct weir_io *io)
{
	struct packet_io *self = (struct packet_io *)(void *)io;
	for (int side = 0; side < WEIR_PORTS; side++) {
		struct port *port = &self->ports[side];
		/* One group for each device of the namespace, away from the small numbers that others choose. */
		uint32_t group = (FANOUT_GROUP_BASE + port->ifindex) & 0xffff;
		uint32_t fanout = group | (uint32_t)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING) << 16;
		int failure = bind_port(port, ETH_P_ALL);
		if (failure)
			return failure;
		if (self->queues > 1 && setsockopt(port->fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)))
			return -errno;
		failure = set_filter(port, self->frame_bytes);
		if (failure)
			return failure;
		io->polled[side].fd = port->fd;
	}
	return 0;
}

static int set_option(int fd, int name, const void *value, socklen_t bytes)
{
	return setsockopt(fd, SOL_PACKET, name, value, bytes) ? -errno : 0;
}

/* The options without which this backend cannot work, in the order in which the kernel wants them. 0, or -errno. */
static int set_options(const struct packet_io *self, struct port *port)
{
	const int one = 1, version = TPACKET_V3, send_bytes = SLOTS * 2 * (int)self->frame_bytes;
	struct packet_mreq promiscuous = {.mr_ifindex = (int)port->ifindex, .mr_type = PACKET_MR_PROMISC};
	uint32_t per_block = BLOCK_BYTES / self->frame_bytes;
	struct tpacket_req3 rx = {.tp_block_size = BLOCK_BYTES, .tp_block_nr = port->blocks,
				  .tp_frame_size = self->frame_bytes, .tp_frame_nr = port->blocks * per_block,
				  .tp_retire_blk_tov = BLOCK_RETIRE_MS};
	struct tpacket_req3 tx = {.tp_block_size = BLOCK_BYTES, .tp_block_nr = SLOTS / per_block,
				  .tp_frame_size = self->frame_bytes, .tp_frame_nr = SLOTS};
	int failure = set_filter(port, 0);
	if (!failure)
		failure = set_option(port->fd, PACKET_VERSION, &version, sizeof(version));
	if (!failure)
		failure = set_option(port->fd, PACKET_VNET_HDR, &one, sizeof(one));
	/* The kernel skips a slot it takes for malformed, where it would stop; can_send lets none through. */
	if (!failure)
		failure = set_option(port->fd, PACKET_LOSS, &one, sizeof(one));
	/* The trees are the queueing discipline. A busy device then refuses a frame, which stays in its slot. */
	if (!failure)
		failure = set_option(port->fd, PACKET_QDISC_BYPASS, &one, sizeof(one));
	if (!failure)
		failure = set_option(port->fd, PACKET_RX_RING, &rx, sizeof(rx));
	if (!failure)
		failure = set_option(port->fd, PACKET_TX_RING, &tx, sizeof(tx));
	if (!failure)
		failure = set_option(port->fd, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous));
	/* Saves the kernel a copy before Linux 6.2's fanout flag; kernels before 4.20 leave it to the filter. */
	(void)set_option(port->fd, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	/* All slots may be on their way at once. */
	(void)setsockopt(port->fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof(send_bytes));
	return failure;
}

static int open_rings(struct port *port, uint32_t ring_size, uint64_t *regions, char *err, size_t err_bytes)
{
	static const uint32_t entry_bytes[RINGS] = {sizeof(struct xdp_desc), sizeof(struct xdp_desc), 8, 8};
	for (int i = 0; i < RINGS; i++) {
		struct ring *ring = &port->rings[i];
		uint64_t *region = regions + i * WEIR_REGION_RING_WORDS;
		ring->size = ring_size;
		int failure = weir_map(&ring->mapping, -1, 0, ENTRIES + (size_t)ring_size * entry_bytes[i]);
		if (failure)
			return weir_fail(err, err_bytes, "E_MEMORY: rings: %s", strerror(-failure));
		region[0] = (uint64_t)(uintptr_t)ring->mapping.data;
		region[1] = ring->mapping.bytes;
		region[2] = PRODUCER;
		region[3] = CONSUMER;
		region[4] = i == TX ? FLAGS : UINT32_MAX;
		region[5] = ENTRIES;
		region[6] = ring_size;
	}
	/* Nobody looks at the TX ring unless told. */
	*weir_ring_word(&port->rings[TX], FLAGS) = XDP_RING_NEED_WAKEUP;
	return 0;
}

static int open_port(struct packet_io *self, struct port *port, const char *device, int claims, char *err,
		     size_t err_bytes)
{
	port->ifindex = weir_device_check(device, 1, err, err_bytes);
	if (port->ifindex == 0)
		return -1;
	memcpy(port->device, device, strnlen(device, IF_NAMESIZE - 1));
	if (claims && weir_device_claim(port->ifindex, &port->claim_fd))
		return weir_fail(err, err_bytes, "E_BUSY: %s belongs to another process", device);
	port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (port->fd < 0)
		return weir_fail(err, err_bytes, errno == EPERM ? "E_PRIVILEGE: %s: AF_PACKET needs CAP_NET_RAW (%s)"
								: "E_PACKET: %s: %s", device, strerror(errno));
	int failure = set_options(self, port);
	if (failure)
		return weir_fail(err, err_bytes, "E_PACKET: %s: %s", device, strerror(-failure));
	port->memory_bytes = (size_t)port->blocks * BLOCK_BYTES + (size_t)SLOTS * self->frame_bytes;
	port->memory = mmap(NULL, port->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, port->fd, 0);
	if (port->memory == MAP_FAILED) {
		port->memory = NULL;
		return weir_fail(err, err_bytes, "E_MEMORY: %s: %s", device, strerror(errno));
	}
	learn_mtu(port);
	/* Protocol 0: the socket can send, and receives nothing yet. */
	failure = bind_port(port, 0);
	return failure ? weir_fail(err, err_bytes, "E_PACKET: %s: %s", device, strerror(-failure)) : 0;
}

static void close_port(struct port *port)
{
	if (port->memory)
		munmap(port->memory, port->memory_bytes);
	if (port->fd >= 0)
		close(port->fd);
	if (port->claim_fd >= 0)
		close(port->claim_fd);
	for (int i = 0; i < RINGS; i++)
		weir_unmap(&port->rings[i].mapping);
}

static void packet_close(struct weir_io *io)
{
	struct packet_io *self = (struct packet_io *)(void *)io;
	for (int side = 0; side < WEIR_PORTS; side++)
		close_port(&self->ports[side]);
	weir_unmap(&self->umem);
	weir_io_finish(io);
	free(self);
}

static const struct weir_io_ops packet_ops = {.start = packet_start, .kick = packet_kick, .collect = packet_collect,
					      .statistics = packet_statistics, .close = packet_close};

void *weir_io_open_packet(const char *inside, const char *outside, uint32_t queue, uint32_t queues, uint32_t frames,
			  uint32_t frame_bytes, uint32_t ring_size, uint64_t *regions, char *err, uint32_t err_bytes)
{
	const char *devices[WEIR_PORTS] = {inside, outside};
	struct packet_io *self = calloc(1, sizeof(*self));
	int huge, failure;
	if (!self) {
		weir_fail(err, err_bytes, "E_MEMORY: %s", strerror(ENOMEM));
		return NULL;
	}
	self->io.wake_fd = -1;
	self->frame_bytes = frame_bytes;
	self->umem_bytes = (uint64_t)frames * frame_bytes;
	self->queues = queues;
	for (int side = 0; side < WEIR_PORTS; side++) {
		struct port *port = &self->ports[side];
		port->fd = port->claim_fd = -1;
		/* As much room in the kernel as in the ring, at full length. */
		port->blocks = (uint32_t)((uint64_t)ring_size * frame_bytes / BLOCK_BYTES);
		if (port->blocks < BLOCKS_MIN)
			port->blocks = BLOCKS_MIN;
	}
	failure = weir_io_begin(&self->io, &packet_ops, regions, err, err_bytes);
	for (int side = 0; side < WEIR_PORTS && !failure; side++) {
		struct port *port = &self->ports[side];
		failure = open_port(self, port, devices[side], queue == 0, err, err_bytes);
		if (!failure)
			failure = open_rings(port, ring_size,
					     regions + WEIR_REGION_RINGS + side * WEIR_REGION_PORT_WORDS, err, err_bytes);
	}
	if (!failure) {
		failure = weir_map_umem(&self->umem, self->umem_bytes, &huge);
		if (failure)
			weir_fail(err, err_bytes, "E_MEMORY: UMEM: %s", strerror(-failure));
	}
	if (failure) {
		packet_close(&self->io);
		return NULL;
	}
	regions[WEIR_REGION_UMEM] = (uint64_t)(uintptr_t)self->umem.data;
	regions[WEIR_REGION_UMEM + 1] = self->umem_bytes;
	weir_io_set_features(&self->io, huge ? WEIR_FEATURE_HUGE_PAGES : 0);
	return self;
}
