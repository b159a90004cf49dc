/*
 * Sends and shows whole frames, for the tests.
 *
 *   rawframes send DEVICE COUNT        sends each frame read from stdin (hex, one a line) COUNT times in turn
 *   rawframes flood DEVICE PPS MS      sends the frames at PPS a second for MS milliseconds; prints how many
 *   rawframes capture DEVICE MS        prints `ready`, then the frames that arrive within MS milliseconds, as hex
 *   rawframes count DEVICE MS          prints `ready`, then how many frames arrive, and the longest gap between two in us
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 65536
#define FRAMES_MAX 256
#define VLAN_AT 12
#define TAG_BYTES 4

struct frame {
	uint8_t *data;
	size_t bytes;
};

static struct frame frames[FRAMES_MAX];
static int frame_count;

static void die(const char *what)
{
	fprintf(stderr, "rawframes: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int open_device(const char *device, uint16_t protocol)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(protocol),
				      .sll_ifindex = (int)if_nametoindex(device)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die(device);
	return fd;
}

static void read_frames(void)
{
	static char line[2 * FRAME_MAX + 2];
	while (frame_count < FRAMES_MAX && fgets(line, sizeof(line), stdin)) {
		size_t bytes = strcspn(line, "\n") / 2;
		struct frame *frame = &frames[frame_count++];
		frame->data = malloc(bytes);
		frame->bytes = bytes;
		for (size_t i = 0; i < bytes; i++)
			sscanf(line + 2 * i, "%2hhx", &frame->data[i]);
	}
}

/* Sends one frame; a full queue is waited for. */
static void send_frame(int fd, const struct frame *frame)
{
	while (send(fd, frame->data, frame->bytes, 0) < 0)
		if (errno != ENOBUFS && errno != EAGAIN)
			die("send");
}

static void send_frames(const char *device, long count)
{
	int fd = open_device(device, 0);
	for (long i = 0; i < count; i++)
		for (int f = 0; f < frame_count; f++)
			send_frame(fd, &frames[f]);
}

static void flood(const char *device, double pps, long ms)
{
	int fd = open_device(device, 0), one = 1;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	uint64_t start = now_ns(), end = start + (uint64_t)ms * 1000000u;
	uint64_t sent = 0;
	for (uint64_t now = start; now < end; now = now_ns()) {
		uint64_t due = (uint64_t)((double)(now - start) * pps / 1e9);
		/* After a pause of this process the missed frames are not sent in one burst. */
		for (int burst = 0; sent < due && burst < 64; burst++, sent++)
			send_frame(fd, &frames[sent % (uint64_t)frame_count]);
	}
	printf("%lu\n", (unsigned long)sent);
}

/* Puts a VLAN tag that the kernel took out of the frame back in. Returns the frame's length. */
static size_t put_tag_back(struct msghdr *message, uint8_t *data, size_t bytes)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata *aux = (struct tpacket_auxdata *)CMSG_DATA(c);
		if (c->cmsg_type != PACKET_AUXDATA || !(aux->tp_status & TP_STATUS_VLAN_VALID))
			continue;
		uint16_t tag[2] = {htons(aux->tp_vlan_tpid), htons(aux->tp_vlan_tci)};
		memmove(data + VLAN_AT + TAG_BYTES, data + VLAN_AT, bytes - VLAN_AT);
		memcpy(data + VLAN_AT, tag, TAG_BYTES);
		return bytes + TAG_BYTES;
	}
	return bytes;
}

/* One frame that came in, or 0 when there is none until `end`. */
static size_t receive(int fd, uint64_t end, uint8_t *data)
{
	for (uint64_t now = now_ns(); now < end; now = now_ns()) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		if (poll(&polled, 1, (int)((end - now) / 1000000u) + 1) <= 0)
			continue;
		uint8_t control[256];
		struct sockaddr_ll from;
		struct iovec part = {.iov_base = data, .iov_len = FRAME_MAX};
		struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part,
					 .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		ssize_t bytes = recvmsg(fd, &message, 0);
		if (bytes > 0 && from.sll_pkttype != PACKET_OUTGOING)
			return put_tag_back(&message, data, (size_t)bytes);
	}
	return 0;
}

static void take_in(const char *device, long ms, int show)
{
	static uint8_t data[FRAME_MAX + TAG_BYTES];
	int fd = open_device(device, ETH_P_ALL), one = 1, room = 64 << 20;
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	printf("ready\n");
	fflush(stdout);
	uint64_t end = now_ns() + (uint64_t)ms * 1000000u;
	uint64_t count = 0, last = 0, gap = 0;
	for (size_t bytes = receive(fd, end, data); bytes; bytes = receive(fd, end, data)) {
		uint64_t now = now_ns();
		if (last && now - last > gap)
			gap = now - last;
		last = now;
		count++;
		for (size_t i = 0; show && i < bytes; i++)
			printf("%02x", data[i]);
		if (show) {
			printf("\n");
			fflush(stdout);
		}
	}
	if (!show)
		printf("%lu %lu\n", (unsigned long)count, (unsigned long)(gap / 1000));
}

int main(int argc, char **argv)
{
	const char *verb = argc > 3 ? argv[1] : "";
	if (strcmp(verb, "capture") == 0 || strcmp(verb, "count") == 0) {
		take_in(argv[2], atol(argv[3]), verb[1] == 'a');
		return 0;
	}
	read_frames();
	if (strcmp(verb, "send") == 0)
		send_frames(argv[2], atol(argv[3]));
	else if (strcmp(verb, "flood") == 0 && argc > 4 && frame_count > 0)
		flood(argv[2], atof(argv[3]), atol(argv[4]));
	else
		return 2;
	return 0;
}
