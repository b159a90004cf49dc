/*
 * The packet backend's way of a frame: what the kernel does for an AF_XDP socket between the UMEM and the device is
 * done here, by copying. See packet.c for the sockets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet.h"

/* As for AF_XDP, so that a frame looks the same whichever backend received it. */
#define HEADROOM_BYTES 256
#define FRAME_BYTES_MIN ETH_HLEN
#define VLAN_BYTES 4
#define MAC_BYTES (2 * ETH_ALEN)
#define SEND_BATCH 64
#define SLOT_DATA_BYTES (TPACKET3_HDRLEN - sizeof(struct sockaddr_ll))
#define VNET_BYTES sizeof(struct virtio_net_hdr)

/* ---- rings ------------------------------------------------------------------------------------------------- */

/* This side's own index. */
static uint32_t own(const struct ring *ring, enum ring_offset offset)
{
	return __atomic_load_n(weir_ring_word(ring, offset), __ATOMIC_RELAXED);
}

/* The worker's index; pairs with the store that published it, so that the entries before it are seen too. */
static uint32_t others(const struct ring *ring, enum ring_offset offset)
{
	return __atomic_load_n(weir_ring_word(ring, offset), __ATOMIC_ACQUIRE);
}

/* Publishes entries written, or gives back entries read. */
static void publish(const struct ring *ring, enum ring_offset offset, uint32_t index)
{
	__atomic_store_n(weir_ring_word(ring, offset), index, __ATOMIC_RELEASE);
}

static struct xdp_desc *desc_at(const struct ring *ring, uint32_t index)
{
	return (struct xdp_desc *)(void *)(ring->mapping.data + ENTRIES) + (index & (ring->size - 1));
}

static uint64_t *addr_at(const struct ring *ring, uint32_t index)
{
	return (uint64_t *)(void *)(ring->mapping.data + ENTRIES) + (index & (ring->size - 1));
}

/* ---- receiving --------------------------------------------------------------------------------------------- */

static struct tpacket_block_desc *block_at(const struct port *port)
{
	return (void *)(port->memory + (size_t)port->block * BLOCK_BYTES);
}

/* Moves on to the next packet, over the end of the block if need be. 0 if the kernel has none ready. */
static int next_packet(struct port *port)
{
	while (port->packets_left == 0) {
		struct tpacket_block_desc *block = block_at(port);
		if (port->packet) {
			/* Gives the block back; nothing of it is read after this. */
			__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			port->packet = NULL;
			port->block = (port->block + 1) % port->blocks;
			block = block_at(port);
		}
		if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return 0;
		port->packets_left = block->hdr.bh1.num_pkts;
		port->packet = (void *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	}
	return 1;
}

/* Completes the internet checksum over data[start..bytes) whose field holds the pseudo header's sum (RFC 1071). */
static void complete_checksum(uint8_t *data, uint32_t bytes, uint32_t start, uint32_t field)
{
	uint64_t sum = 0;
	uint16_t word;
	if (start > bytes || field + sizeof(word) > bytes)
		return;
	for (; start + 1 < bytes; start += 2) {
		memcpy(&word, data + start, sizeof(word));
		sum += word;
	}
	if (start < bytes)
		sum += data[start];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	word = (uint16_t)~sum;
	/* 0 would say that there is no checksum. */
	if (word == 0)
		word = 0xffff;
	memcpy(data + field, &word, sizeof(word));
}

/* Copies the packet to `to`, as it was on the wire. Its length, or 0 if it is longer than a frame. */
static uint32_t copy_packet(const struct tpacket3_hdr *packet, uint8_t *to, uint32_t room)
{
	const uint8_t *from = (const uint8_t *)packet + packet->tp_mac;
	struct virtio_net_hdr vnet;
	uint32_t tag_bytes = packet->tp_status & TP_STATUS_VLAN_VALID ? VLAN_BYTES : 0;
	uint32_t bytes = packet->tp_len + tag_bytes;
	memcpy(&vnet, from - VNET_BYTES, VNET_BYTES);
	if (packet->tp_snaplen < packet->tp_len || bytes > room || vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	if (tag_bytes) {
		/* The kernel has taken the outer tag out of the frame. */
		uint16_t tag[2] = {htons(ETH_P_8021Q), htons(packet->hv1.tp_vlan_tci)};
		if (packet->tp_status & TP_STATUS_VLAN_TPID_VALID)
			tag[0] = htons(packet->hv1.tp_vlan_tpid);
		memcpy(to, from, MAC_BYTES);
		memcpy(to + MAC_BYTES, tag, VLAN_BYTES);
		memcpy(to + MAC_BYTES + VLAN_BYTES, from + MAC_BYTES, packet->tp_len - MAC_BYTES);
	} else {
		memcpy(to, from, bytes);
	}
	if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint32_t start = vnet.csum_start + tag_bytes;
		complete_checksum(to, bytes, start, start + vnet.csum_offset);
	}
	return bytes;
}

void weir_packet_receive(struct packet_io *self, struct port *port)
{
	const struct ring *rx = &port->rings[RX], *fill = &port->rings[FILL];
	uint32_t produced = own(rx, PRODUCER), taken = own(fill, CONSUMER);
	uint32_t rx_end = others(rx, CONSUMER) + rx->size, fill_end = others(fill, PRODUCER);
	while (next_packet(port)) {
		/* What finds no room waits in its block; if that lasts, the kernel drops newer packets and counts them. */
		if (taken == fill_end) {
			port->statistics[WEIR_STAT_FILL_EMPTY]++;
			break;
		}
		if (produced == rx_end) {
			port->statistics[WEIR_STAT_RX_RING_FULL]++;
			break;
		}
		uint64_t frame = *addr_at(fill, taken) & ~(uint64_t)(self->frame_bytes - 1);
		if (frame >= self->umem_bytes) {
			port->statistics[WEIR_STAT_RX_INVALID]++;
			taken++;
			continue;
		}
		uint32_t bytes = copy_packet(port->packet, self->umem.data + frame + HEADROOM_BYTES,
					     self->frame_bytes - HEADROOM_BYTES);
		port->packet = (void *)((uint8_t *)port->packet + port->packet->tp_next_offset);
		port->packets_left--;
		if (bytes == 0) {
			port->statistics[WEIR_STAT_RX_TOO_LONG]++;
			port->statistics[WEIR_STAT_RX_DROPPED]++;
			continue;
		}
		*desc_at(rx, produced++) = (struct xdp_desc){.addr = frame + HEADROOM_BYTES, .len = bytes};
		taken++;
	}
	publish(fill, CONSUMER, taken);
	publish(rx, PRODUCER, produced);
}

/* ---- sending ----------------------------------------------------------------------------------------------- */

static struct tpacket3_hdr *slot_at(const struct packet_io *self, const struct port *port, uint32_t slot)
{
	return (void *)(port->memory + (size_t)port->blocks * BLOCK_BYTES +
			(size_t)(slot % SLOTS) * self->frame_bytes);
}

static uint32_t slot_status(const struct packet_io *self, const struct port *port, uint32_t slot)
{
	return __atomic_load_n(&slot_at(self, port, slot)->tp_status, __ATOMIC_ACQUIRE);
}

void weir_packet_send(struct packet_io *self, struct port *port)
{
	static const uint64_t one = 1;
	if (port->unsent_slot == port->next_slot)
		return;
	int failure = send(port->fd, NULL, 0, MSG_DONTWAIT) < 0 ? errno : 0;
	while (port->unsent_slot != port->next_slot &&
	       slot_status(self, port, port->unsent_slot) != TP_STATUS_SEND_REQUEST)
		port->unsent_slot++;
	if (port->unsent_slot == port->next_slot)
		return;
	if (failure != 0 && failure != ENOBUFS && failure != EAGAIN && failure != EINTR)
		port->statistics[WEIR_STAT_TX_ERRORS]++;
	/*
	 * poll() tells of slots that are free, not of a device that is ready again. A device that is down is not waited
	 * for, but one that is busy will be ready in no time, so the next sleep ends at once.
	 */
	else if (write(self->io.wake_fd, &one, sizeof(one)) < 0)
		port->statistics[WEIR_STAT_TX_ERRORS]++;
}

/* Whether the descriptor names bytes of one frame that the device can send. */
static int can_send(const struct packet_io *self, const struct port *port, const struct xdp_desc *desc)
{
	uint32_t offset = (uint32_t)desc->addr & (self->frame_bytes - 1);
	return desc->addr < self->umem_bytes && desc->len >= FRAME_BYTES_MIN && desc->len <= port->frame_bytes_max &&
	       offset + desc->len <= self->frame_bytes && SLOT_DATA_BYTES + VNET_BYTES + desc->len <= self->frame_bytes;
}

static void fill_slot(const struct packet_io *self, struct port *port, const struct xdp_desc *desc)
{
	struct tpacket3_hdr *slot = slot_at(self, port, port->next_slot++);
	uint8_t *data = (uint8_t *)slot + SLOT_DATA_BYTES;
	memset(data, 0, VNET_BYTES);
	memcpy(data + VNET_BYTES, self->umem.data + desc->addr, desc->len);
	slot->tp_next_offset = 0;
	slot->tp_len = (uint32_t)VNET_BYTES + desc->len;
	/* Hands the slot over with what is in it. */
	__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
}

void weir_packet_transmit(struct packet_io *self, struct port *port)
{
	const struct ring *tx = &port->rings[TX], *completion = &port->rings[COMPLETION];
	uint32_t taken = own(tx, CONSUMER), completed = own(completion, PRODUCER);
	uint32_t tx_end = others(tx, PRODUCER), completion_end = others(completion, CONSUMER) + completion->size;
	for (; taken != tx_end && completed != completion_end; taken++) {
		const struct xdp_desc *desc = desc_at(tx, taken);
		if (!can_send(self, port, desc)) {
			port->statistics[WEIR_STAT_TX_INVALID]++;
		} else {
			if (port->next_slot - port->unsent_slot >= SEND_BATCH)
				weir_packet_send(self, port);
			if (slot_status(self, port, port->next_slot) != TP_STATUS_AVAILABLE)
				break;
			fill_slot(self, port, desc);
		}
		/* The slot has its own copy, so the frame is free. */
		*addr_at(completion, completed++) = desc->addr;
	}
	publish(tx, CONSUMER, taken);
	publish(completion, PRODUCER, completed);
	weir_packet_send(self, port);
}
