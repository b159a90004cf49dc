/*
 * A generator that is not the bound: UDP frames to or from many subscribers, sent into a device.
 *
 *   blast DEVICE [--pps N] [--seconds S] [--count N] [--size B|imix] [--subscribers N] [--base 10.0.0.0] [--stride N]
 *         [--zipf S | --in-turn] [--server 198.18.0.1] [--direction down|up] [--ports N] [--port P]
 *         [--to 02:00:00:00:00:fe] [--numbered] [--queue-cpus 0,1] [--af-xdp | --af-packet] [--train N]
 *
 * Frames are made by the kernel (blast-live.h); where it cannot, an AF_XDP socket sends them (blast-xdp.h), and
 * --af-packet has a TX ring (blast-packet.h). One thread runs per CPU named by --queue-cpus, because veth chooses the
 * receive queue of a redirected frame by the sending CPU: CPU modulo queues. The peer must be ready for them: it has
 * an XDP program or GRO on, and as many queues as the device.
 *
 * Subscribers are drawn at random, all alike or with --zipf by the S-th power of their rank, or come --in-turn. Sizes are
 * layer-2 bytes; `imix` is 7 of 60, 4 of 590 and 1 of 1514, which is 64, 594 and 1518 with the FCS. With --train, N frames
 * in a row are of one flow; --numbered puts a number that rises from frame to frame and the time into each, by which
 * `sink --order` and `sink --latency` know them.
 *
 * `sent` counts frames handed to the device; what the device then drops is seen only by who counts at the far end.
 */
#include "blast-live.h"
#include "blast-packet.h"
#include "blast-xdp.h"
#include <sys/prctl.h>

/* Whether all is sent is looked up this often. */
#define LOOK_NS 1000000

/* Spread, so that every part of the mix has about its mean size. */
static const uint16_t IMIX[] = { 60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590 };

static void set_sizes(struct blast_plan *plan, const char *value)
{
	if (strcmp(value, "imix") == 0) {
		memcpy(plan->sizes, IMIX, sizeof IMIX);
		plan->mix = sizeof IMIX / sizeof *IMIX;
		plan->bytes = FRAME_BYTES_MAX;
		return;
	}
	plan->bytes = (uint32_t)number_of("--size", value, FRAME_BYTES_MIN, FRAME_BYTES_MAX);
	plan->sizes[0] = (uint16_t)plan->bytes;
	plan->mix = 1;
}

static void set_target(struct options *options, const char *value)
{
	uint8_t *to = options->to;
	char rest;

	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", to, to + 1, to + 2, to + 3, to + 4, to + 5, &rest) != 6)
		die("--to: %s is not a MAC address", value);
	options->has_to = true;
}

/* Options without a value; false when it is another one. */
static bool parse_switch(const char *name, struct options *options)
{
	if (strcmp(name, "--af-packet") == 0)
		options->method = AF_PACKET_RING;
	else if (strcmp(name, "--af-xdp") == 0)
		options->method = AF_XDP_SOCKET;
	else if (strcmp(name, "--numbered") == 0)
		options->plan.numbered = 1;
	else if (strcmp(name, "--in-turn") == 0)
		options->plan.choice = CHOICE_IN_TURN;
	else
		return false;
	return true;
}

static void parse_value(const char *name, const char *value, struct options *options)
{
	struct blast_plan *plan = &options->plan;

	if (strcmp(name, "--pps") == 0)
		options->pps = number_of(name, value, 1, 1e9);
	else if (strcmp(name, "--seconds") == 0)
		options->seconds = number_of(name, value, 0, SECONDS_MAX);
	else if (strcmp(name, "--count") == 0)
		options->count = (uint64_t)number_of(name, value, 1, 1e12);
	else if (strcmp(name, "--size") == 0)
		set_sizes(plan, value);
	else if (strcmp(name, "--subscribers") == 0)
		plan->subscribers = (uint32_t)number_of(name, value, 1, 1 << 24);
	else if (strcmp(name, "--base") == 0)
		plan->base = address_of(name, value);
	else if (strcmp(name, "--server") == 0)
		plan->server = address_of(name, value);
	else if (strcmp(name, "--stride") == 0)
		plan->stride = (uint32_t)number_of(name, value, 1, 1 << 24);
	else if (strcmp(name, "--zipf") == 0)
		options->zipf = number_of(name, value, 0, 10);
	else if (strcmp(name, "--ports") == 0)
		plan->ports = (uint32_t)number_of(name, value, 1, 40000);
	else if (strcmp(name, "--port") == 0)
		plan->first_port = (uint32_t)number_of(name, value, 1, 65535);
	else if (strcmp(name, "--to") == 0)
		set_target(options, value);
	else if (strcmp(name, "--train") == 0)
		options->train = (unsigned)number_of(name, value, 1, 1024);
	else if (strcmp(name, "--queue-cpus") == 0)
		options->threads = cpu_list(value, options->cpus);
	else if (strcmp(name, "--direction") == 0 && strcmp(value, "up") == 0)
		plan->up = 1;
	else if (strcmp(name, "--direction") != 0 || strcmp(value, "down") != 0)
		die("%s %s: unknown", name, value);
}

static void parse(int count, char **words, struct options *options)
{
	*options = (struct options){ .seconds = 5, .zipf = -1, .threads = 1, .train = 1 };
	struct blast_plan *plan = &options->plan;

	*plan = (struct blast_plan){ .base = 0x0a000000, .stride = 1, .subscribers = 1, .server = 0xc6120001,
				     .ports = 1, .first_port = 20000, .bytes = 64, .mix = 1, .sizes = { 64 } };
	if (count < 2)
		die("usage: blast DEVICE [--pps N] [--seconds S] [--count N] [--size B|imix] [--subscribers N] [--base A] "
		    "[--stride N] [--zipf S | --in-turn] [--server A] [--direction down|up] [--ports N] [--port P] [--to MAC] "
		    "[--numbered] [--queue-cpus 0,1] [--af-xdp | --af-packet] [--train N]");
	options->device = words[1];
	for (int i = 2; i < count; i++) {
		if (parse_switch(words[i], options))
			continue;
		if (i + 1 == count)
			die("%s: value missing or option unknown", words[i]);
		parse_value(words[i], words[i + 1], options);
		i++;
	}
	if (plan->first_port + plan->ports > 65536)
		die("--ports %u from --port %u pass 65535", plan->ports, plan->first_port);
	if (options->train > 1 && options->method == LIVE_FRAMES)
		die("--train needs --af-packet or --af-xdp");
	if (plan->numbered && options->threads > 1)
		die("--numbered: one thread, for numbers rise from frame to frame");
	if (options->count > 0 && options->count < options->threads)
		die("--count: less than the threads");
	if (options->zipf >= 0) {
		if (plan->choice != CHOICE_UNIFORM || plan->subscribers > 1 << 20)
			die("--zipf: not with --in-turn, and for at most %d subscribers", 1 << 20);
		plan->choice = CHOICE_TABLE;
		options->picks = zipf_picks(plan->subscribers, options->zipf);
	}
	plan->ifindex = device_index(options->device);
}

static void *run(void *argument)
{
	struct sender *sender = argument;
	const struct options *options = sender->options;
	const struct blast_plan *plan = &options->plan;

	pin_to(options->cpus[sender->number]);
	prctl(PR_SET_TIMERSLACK, 1);
	build_frame(sender->frame, plan->bytes, plan->first_port, plan->first_port);
	if (options->has_to)
		memcpy(sender->frame, options->to, sizeof options->to);
	if (options->method == LIVE_FRAMES && send_live(sender))
		return NULL;
	sender->fell_back = options->method == LIVE_FRAMES;
	const uint64_t start_ns = now_ns();
	if (options->method == AF_PACKET_RING)
		run_packets(sender);
	else
		run_xdp(sender);
	sender->seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
	return NULL;
}

static bool has_sent_all(struct sender *sender)
{
	const int states = __atomic_load_n(&sender->states, __ATOMIC_ACQUIRE);
	struct blast_state state;

	if (sender->count == 0)
		return false;
	if (states < 0)
		return __atomic_load_n(&sender->sent, __ATOMIC_RELAXED) == sender->count;
	return bpf_map_lookup_elem(states, &sender->number, &state) == 0 && state.sent == sender->count;
}

/* A thread in the kernel sees only signals; one that comes between two calls is lost, so it is repeated. */
static void end(struct sender *sender)
{
	while (pthread_tryjoin_np(sender->thread, NULL) != 0) {
		pthread_kill(sender->thread, SIGTERM);
		sleep_until_ns(now_ns() + 10000000);
	}
}

static const char *method_of(const struct sender *sender)
{
	if (sender->options->method == AF_PACKET_RING)
		return "AF_PACKET";
	return sender->options->method == AF_XDP_SOCKET || sender->fell_back ? "AF_XDP" : "live frames";
}

int main(int count, char **words)
{
	static struct sender senders[THREADS_MAX];
	struct options options;
	uint64_t sent = 0;
	double seconds = 0;

	parse(count, words, &options);
	stop_on_signals();
	const uint64_t end_ns = now_ns() + (uint64_t)(options.seconds * NS_PER_SECOND);
	for (unsigned i = 0; i < options.threads; i++) {
		senders[i] = (struct sender){ .options = &options, .number = i, .states = -1, .random = 0 };
		senders[i].random = first_random(&senders[i]);
		senders[i].count = options.count / options.threads + (i < options.count % options.threads);
		if (options.pps > 0)
			senders[i].gap_ns = NS_PER_SECOND * options.threads / options.pps;
		if (pthread_create(&senders[i].thread, NULL, run, &senders[i]) != 0)
			die("thread: %s", strerror(errno));
	}
	for (unsigned done = 0; !stopped && now_ns() < end_ns && done < options.threads;) {
		const uint64_t look_ns = now_ns() + LOOK_NS;

		sleep_until_ns(options.count > 0 && look_ns < end_ns ? look_ns : end_ns);
		while (done < options.threads && has_sent_all(&senders[done]))
			done++;
	}
	stopped = 1;
	for (unsigned i = 0; i < options.threads; i++)
		end(&senders[i]);
	for (unsigned i = 0; i < options.threads; i++) {
		sent += senders[i].sent;
		if (senders[i].seconds > seconds)
			seconds = senders[i].seconds;
	}
	printf("{\"sent\":%llu,\"seconds\":%.3f,\"pps\":%.0f,\"cpuSeconds\":%.3f,\"method\":\"%s\"}\n",
	       (unsigned long long)sent, seconds, seconds > 0 ? (double)sent / seconds : 0, cpu_seconds(),
	       method_of(&senders[0]));
	return 0;
}
