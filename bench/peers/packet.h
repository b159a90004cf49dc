/* AF_PACKET sockets, for those programs of this folder that send or receive frames one by one. */
#ifndef PACKET_H
#define PACKET_H

#include "peer.h"
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#define PACKET_RECEIVE_BYTES (32 << 20)

static inline int bound_packet_socket(const char *device, int protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)device_index(device) };
	/* Protocol 0: nothing is received before the socket is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		die("AF_PACKET on %s: %s", device, strerror(errno));
	return fd;
}

/* Sends past the device's qdisc, and receives nothing. */
static inline int sending_socket(const char *device)
{
	int one = 1, fd = bound_packet_socket(device, 0);

	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0)
		die("AF_PACKET on %s: %s", device, strerror(errno));
	return fd;
}

/* Receives what arrives at the device, for whomever, and not what leaves it. */
static inline int receiving_socket(const char *device)
{
	int one = 1, bytes = PACKET_RECEIVE_BYTES, fd = bound_packet_socket(device, ETH_P_ALL);

	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
		die("AF_PACKET on %s: %s", device, strerror(errno));
	return fd;
}

/* Frames that came when the socket had no room, since the last time that was asked. */
static inline unsigned dropped_at(int fd)
{
	struct tpacket_stats stats = { 0, 0 };
	socklen_t bytes = sizeof stats;

	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes);
	return stats.tp_drops;
}

#endif
