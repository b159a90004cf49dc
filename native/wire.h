/* The wire as the AF_XDP sockets see it. */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include <net/if.h>
#include <pthread.h>
#include <stdint.h>

#include "weir.h"

struct weir_wire {
	char device[WEIR_PORTS][IF_NAMESIZE];
	uint32_t ifindex[WEIR_PORTS];
	/* Abstract sockets that say to other processes that the port is taken. */
	int claim_fd[WEIR_PORTS];
	int program_fd[WEIR_PORTS];
	int config_fd;
	/* Workers and the control thread change the configuration map, each by reading it first. */
	pthread_mutex_t config_lock;
	int counts_fd;
	int ports_fd;
	int xsk_fd[WEIR_PORTS];
	int bypass_fd;
	/* WEIR_ATTACH_NATIVE or WEIR_ATTACH_SKB. */
	uint32_t mode;
	uint32_t took_over;
	/* Why not the better mode. */
	char note[256];
};

/* Tells the program how long a frame for a worker may be. 0, or -errno. */
int weir_wire_set_frame_bytes_max(struct weir_wire *wire, uint32_t bytes);

#endif
