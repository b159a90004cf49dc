/*
 * A thin stream of frames that carry the time at which they were sent; `sink --latency` at the other end counts
 * how long they took.
 *
 *   probe DEVICE [--pps 10000] [--seconds S] [--size 64] [--subscriber 10.0.0.1] [--server 198.18.0.1]
 *         [--direction down|up] [--port 7777] [--cpu N]
 *
 * The wait before a frame is not part of its latency, so the thread may sleep between frames and leaves the CPU
 * to what is measured.
 */
#include "packet.h"
#include "sink.h"
#include <sys/prctl.h>

struct options {
	const char *device;
	double pps, seconds;
	unsigned bytes, port;
	uint32_t subscriber, server;
	bool up;
	int cpu;
};

static void parse(int count, char **words, struct options *options)
{
	*options = (struct options){ .pps = 10000, .seconds = 5, .bytes = 64, .port = 7777, .subscriber = 0x0a000001,
				     .server = 0xc6120001, .cpu = -1 };
	if (count < 2)
		die("usage: probe DEVICE [--pps N] [--seconds S] [--size B] [--subscriber A] [--server A] "
		    "[--direction down|up] [--port P] [--cpu N]");
	options->device = words[1];
	for (int i = 2; i < count; i++) {
		const char *name = words[i], *value = i + 1 < count ? words[++i] : "";

		if (strcmp(name, "--pps") == 0)
			options->pps = number_of(name, value, 1, 1e6);
		else if (strcmp(name, "--seconds") == 0)
			options->seconds = number_of(name, value, 0, SECONDS_MAX);
		else if (strcmp(name, "--size") == 0)
			options->bytes = (unsigned)number_of(name, value, FRAME_BYTES_MIN, FRAME_BYTES_MAX);
		else if (strcmp(name, "--subscriber") == 0)
			options->subscriber = address_of(name, value);
		else if (strcmp(name, "--server") == 0)
			options->server = address_of(name, value);
		else if (strcmp(name, "--port") == 0)
			options->port = (unsigned)number_of(name, value, 1, 65535);
		else if (strcmp(name, "--cpu") == 0)
			options->cpu = (int)number_of(name, value, 0, CPU_SETSIZE - 1);
		else if (strcmp(name, "--direction") == 0 && strcmp(value, "up") == 0)
			options->up = true;
		else if (strcmp(name, "--direction") != 0 || strcmp(value, "down") != 0)
			die("%s %s: unknown", name, value);
	}
}

int main(int count, char **words)
{
	static uint8_t frame[FRAME_BYTES_MAX];
	struct options options;
	struct probe_payload payload = { .magic = htonl(PROBE_MAGIC) };
	uint64_t sent = 0, failed = 0;

	parse(count, words, &options);
	stop_on_signals();
	int fd = sending_socket(options.device);
	if (options.cpu >= 0)
		pin_to(options.cpu);
	prctl(PR_SET_TIMERSLACK, 1);
	build_frame(frame, options.bytes, options.port, options.port);
	set_addresses(frame + 14, options.up ? options.subscriber : options.server,
		      options.up ? options.server : options.subscriber);
	const uint64_t start_ns = now_ns(), end_ns = start_ns + (uint64_t)(options.seconds * NS_PER_SECOND);
	const double gap_ns = NS_PER_SECOND / options.pps;
	uint64_t next = 0;
	while (!stopped && now_ns() < end_ns) {
		uint64_t due_ns = start_ns + (uint64_t)((double)next * gap_ns);

		sleep_until_ns(due_ns);
		/* After a pause the stream goes on at its rate: a burst to catch up would measure itself. */
		next = (uint64_t)((double)(now_ns() - start_ns) / gap_ns) + 1;
		payload.sequence = htonl((uint32_t)sent);
		payload.sent_ns = now_ns();
		memcpy(frame + HEADER_BYTES, &payload, sizeof payload);
		if (send(fd, frame, options.bytes, 0) == (ssize_t)options.bytes)
			sent++;
		else
			failed++;
	}
	const double seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
	printf("{\"sent\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"pps\":%.0f}\n", (unsigned long long)sent,
	       (unsigned long long)failed, seconds, (double)sent / seconds);
	return 0;
}
