/* The state of the packet backend: packet.c opens it, packet_frames.c moves its frames. */
#ifndef WEIR_PACKET_H
#define WEIR_PACKET_H

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>

#include "io.h"

/* The kernel's receive ring is made of blocks, each handed over as a whole. */
#define BLOCK_BYTES (1u << 16)
/* The transmit ring's slots, each as long as a frame of the UMEM. */
#define SLOTS 512

enum ring_index { RX, TX, FILL, COMPLETION, RINGS };

/* Bytes of a ring's mapping: words of different writers 128 bytes apart. */
enum ring_offset { PRODUCER = 0, CONSUMER = 128, FLAGS = 256, ENTRIES = 384 };

struct ring {
	struct weir_mapping mapping;
	uint32_t size;
};

struct port {
	int fd;
	int claim_fd;
	uint32_t ifindex;
	char device[IF_NAMESIZE];
	struct ring rings[RINGS];
	/* The socket's memory: receive blocks, then transmit slots. */
	uint8_t *memory;
	size_t memory_bytes;
	uint32_t blocks;
	/* The block being emptied, its next packet, and how many it has left. */
	uint32_t block;
	struct tpacket3_hdr *packet;
	uint32_t packets_left;
	/* Free-running: the next slot to fill, and the first that the kernel has not taken yet. */
	uint32_t next_slot;
	uint32_t unsent_slot;
	uint32_t frame_bytes_max;
	uint64_t statistics[WEIR_STATISTICS];
};

struct packet_io {
	struct weir_io io;
	struct port ports[WEIR_PORTS];
	struct weir_mapping umem;
	uint64_t umem_bytes;
	uint32_t frame_bytes;
	uint32_t queues;
};

static inline uint32_t *weir_ring_word(const struct ring *ring, enum ring_offset offset)
{
	return (uint32_t *)(void *)(ring->mapping.data + offset);
}

/* Moves what the kernel has received into the port's RX ring, as far as fill and RX ring go. */
void weir_packet_receive(struct packet_io *self, struct port *port);

/* Moves what lies in the port's TX ring into slots, completes it, and has the kernel send it. */
void weir_packet_transmit(struct packet_io *self, struct port *port);

/* Has the kernel send the filled slots. What a busy device refuses stays in its slot and is tried on the next turn. */
void weir_packet_send(struct packet_io *self, struct port *port);

#endif
