/* blast by AF_PACKET: a TX ring, past the device's qdisc. */
#ifndef BLAST_PACKET_H
#define BLAST_PACKET_H

#include "blast-frames.h"
#include "packet.h"
#include <sys/mman.h>

#define PACKET_SLOT_BYTES 2048
#define PACKET_SLOTS 1024

static void open_packet(struct sender *sender)
{
	int version = TPACKET_V2;
	struct tpacket_req ring = { .tp_block_size = 1 << 16, .tp_block_nr = PACKET_SLOTS / 32,
				    .tp_frame_size = PACKET_SLOT_BYTES, .tp_frame_nr = PACKET_SLOTS };

	sender->socket_fd = sending_socket(sender->options->device);
	if (setsockopt(sender->socket_fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
	    setsockopt(sender->socket_fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring) != 0)
		die("AF_PACKET on %s: %s", sender->options->device, strerror(errno));
	sender->slots = mmap(NULL, PACKET_SLOTS * PACKET_SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			     sender->socket_fd, 0);
	if (sender->slots == MAP_FAILED)
		die("AF_PACKET ring: %s", strerror(errno));
}

static struct tpacket2_hdr *slot_at(struct sender *sender, unsigned slot)
{
	return (void *)(sender->slots + (size_t)(slot % PACKET_SLOTS) * PACKET_SLOT_BYTES);
}

static bool is_free(const struct tpacket2_hdr *slot)
{
	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) == TP_STATUS_AVAILABLE;
}

static void send_packets(struct sender *sender, unsigned frames, uint64_t now)
{
	for (unsigned i = 0; i < frames; i++) {
		struct tpacket2_hdr *slot = slot_at(sender, sender->slot);

		if (!is_free(slot))
			break;
		const unsigned bytes = next_frame(sender, now);

		memcpy((uint8_t *)slot + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), sender->frame, bytes);
		slot->tp_len = bytes;
		__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		sender->slot = (sender->slot + 1) % PACKET_SLOTS;
	}
	if (send(sender->socket_fd, NULL, 0, 0) < 0 && errno != EINTR && errno != ENOBUFS)
		die("sending on %s: %s", sender->options->device, strerror(errno));
}

static bool packets_are_sent(struct sender *sender)
{
	return is_free(slot_at(sender, sender->slot + PACKET_SLOTS - 1));
}

static void run_packets(struct sender *sender)
{
	open_packet(sender);
	send_due(sender, PACKET_SLOTS / 2, send_packets, packets_are_sent);
}

#endif
