/*
 * A generator that is not the bound: UDP frames to or from random subscribers, sent into a device.
 *
 *   blast DEVICE [--pps N] [--seconds S] [--size B] [--subscribers N] [--base 10.0.0.0] [--stride N]
 *         [--server 198.18.0.1] [--direction down|up] [--ports N] [--port P] [--queue-cpus 0,1]
 *         [--af-packet [--train N] [--numbered]]
 *
 * Frames are made by the kernel ("live frames" of BPF_PROG_TEST_RUN, Linux 5.18; documented in
 * Documentation/bpf/bpf_prog_run.rst): an XDP program runs on recycled pages and redirects each into the device.
 * One thread runs per CPU named by --queue-cpus, because veth chooses the receive queue of a redirected frame by
 * the sending CPU: CPU modulo queues. The peer must be ready for them: it has an XDP program or GRO on, and as
 * many queues as the device.
 *
 * With --train, N frames in a row are of one flow; --numbered puts a number that rises from frame to frame and the time
 * into each, by which `sink --order` and `sink --latency` know them.
 *
 * `sent` counts frames handed to the device; what the device then drops is seen only by who counts at the far end.
 */
#include "peer.h"
#include "blast.h"
#include "sink.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Tries in one system call, in effect without end: tearing down after a call takes some 30 ms, a signal ends it. */
#define RUN_FRAMES (1u << 30)
/* Frames that are on their way at once; a veth queue holds 256. */
#define LIVE_BATCH 64
/* A paced AF_PACKET thread sends what is due this often. */
#define PACE_NS 100000
#define PACKET_SLOT_BYTES 2048
#define PACKET_SLOTS 1024

struct options {
	const char *device;
	double pps, seconds;
	unsigned bytes;
	struct blast_plan plan;
	bool af_packet, numbered;
	unsigned train;
	int cpus[THREADS_MAX];
	unsigned threads;
};

struct sender {
	const struct options *options;
	unsigned number;
	pthread_t thread;
	int program, states, socket_fd;
	uint8_t *slots;
	unsigned slot;
	uint32_t random;
	uint64_t sent;
	/* Between frames of this thread; 0: as fast as it goes. */
	double gap_ns, seconds;
	uint8_t frame[FRAME_BYTES_MAX];
};

static void parse(int count, char **words, struct options *options)
{
	*options = (struct options){ .pps = 0, .seconds = 5, .bytes = 64, .threads = 1, .train = 1 };
	struct blast_plan *plan = &options->plan;
	*plan = (struct blast_plan){ .base = 0x0a000000, .stride = 1, .subscribers = 1, .server = 0xc6120001,
				     .ports = 1, .first_port = 20000 };
	if (count < 2)
		die("usage: blast DEVICE [--pps N] [--seconds S] [--size B] [--subscribers N] [--base A] [--stride N] "
		    "[--server A] [--direction down|up] [--ports N] [--port P] [--queue-cpus 0,1] "
		    "[--af-packet [--train N] [--numbered]]");
	options->device = words[1];
	for (int i = 2; i < count; i++) {
		const char *name = words[i];

		if (strcmp(name, "--af-packet") == 0) {
			options->af_packet = true;
			continue;
		}
		if (strcmp(name, "--numbered") == 0) {
			options->numbered = true;
			continue;
		}
		if (i + 1 == count)
			die("%s: value missing or option unknown", name);
		const char *value = words[++i];
		if (strcmp(name, "--pps") == 0)
			options->pps = number_of(name, value, 1, 1e9);
		else if (strcmp(name, "--seconds") == 0)
			options->seconds = number_of(name, value, 0, SECONDS_MAX);
		else if (strcmp(name, "--size") == 0)
			options->bytes = (unsigned)number_of(name, value, FRAME_BYTES_MIN, FRAME_BYTES_MAX);
		else if (strcmp(name, "--subscribers") == 0)
			plan->subscribers = (uint32_t)number_of(name, value, 1, 1 << 24);
		else if (strcmp(name, "--base") == 0)
			plan->base = address_of(name, value);
		else if (strcmp(name, "--server") == 0)
			plan->server = address_of(name, value);
		else if (strcmp(name, "--stride") == 0)
			plan->stride = (uint32_t)number_of(name, value, 1, 1 << 24);
		else if (strcmp(name, "--ports") == 0)
			plan->ports = (uint32_t)number_of(name, value, 1, 40000);
		else if (strcmp(name, "--port") == 0)
			plan->first_port = (uint32_t)number_of(name, value, 1, 65535);
		else if (strcmp(name, "--train") == 0)
			options->train = (unsigned)number_of(name, value, 1, 1024);
		else if (strcmp(name, "--queue-cpus") == 0)
			options->threads = cpu_list(value, options->cpus);
		else if (strcmp(name, "--direction") == 0 && strcmp(value, "up") == 0)
			plan->up = 1;
		else if (strcmp(name, "--direction") != 0 || strcmp(value, "down") != 0)
			die("%s %s: unknown", name, value);
	}
	if (plan->first_port + plan->ports > 65536)
		die("--ports %u from --port %u pass 65535", plan->ports, plan->first_port);
	if ((options->train > 1 || options->numbered) && !options->af_packet)
		die("--train and --numbered need --af-packet");
	if (options->numbered && options->threads > 1)
		die("--numbered: one thread, for numbers rise from frame to frame");
	plan->ifindex = device_index(options->device);
}

static uint32_t first_random(const struct sender *sender)
{
	return 2463534242u + sender->number * 7919;
}

/* ---- live frames ---------------------------------------------------------------------------------------- */

static struct bpf_object *load_program(struct sender *sender)
{
	const struct options *options = sender->options;
	struct bpf_object *object = bpf_object__open_file(object_path("blast"), NULL);
	struct blast_plan plan = options->plan;

	if (object == NULL)
		die("%s: %s", object_path("blast"), strerror(errno));
	plan.thread = sender->number;
	plan.gap = (uint64_t)(sender->gap_ns * (1 << PACE_SHIFT));
	plan.header_sum = sum16(sender->frame + 14, 20);
	if (bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"), &plan, sizeof plan) != 0)
		die("blast.bpf.o: constants of another size");
	if (bpf_object__load(object) != 0)
		die("blast.bpf.o: %s", strerror(errno));
	sender->states = bpf_object__find_map_fd_by_name(object, "states");
	sender->program = bpf_program__fd(bpf_object__find_program_by_name(object, "blast"));
	return object;
}

/* Has the kernel send frames until a signal comes. */
static void send_live(struct sender *sender)
{
	struct blast_state state = { .random = first_random(sender), .start_ns = now_ns() };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = sender->frame, .data_size_in = sender->options->bytes,
		    .repeat = RUN_FRAMES, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = LIVE_BATCH);

	if (bpf_map_update_elem(sender->states, &sender->number, &state, 0) != 0)
		die("blast.bpf.o: states: %s", strerror(errno));
	while (!stopped)
		if (bpf_prog_test_run_opts(sender->program, &run) != 0 && errno != EINTR)
			die("live frames: %s (Linux 5.18 has them; --af-packet does without)", strerror(errno));
	if (bpf_map_lookup_elem(sender->states, &sender->number, &state) == 0)
		sender->sent = state.sent;
}

/* ---- AF_PACKET ------------------------------------------------------------------------------------------ */

static void open_packet(struct sender *sender)
{
	int version = TPACKET_V2, one = 1;
	struct tpacket_req ring = { .tp_block_size = 1 << 16, .tp_block_nr = PACKET_SLOTS / 32,
				    .tp_frame_size = PACKET_SLOT_BYTES, .tp_frame_nr = PACKET_SLOTS };
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)sender->options->plan.ifindex };

	sender->random = first_random(sender);
	/* Protocol 0: the socket receives nothing. */
	sender->socket_fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (sender->socket_fd < 0)
		die("AF_PACKET: %s", strerror(errno));
	if (setsockopt(sender->socket_fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
	    setsockopt(sender->socket_fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0 ||
	    setsockopt(sender->socket_fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring) != 0 ||
	    bind(sender->socket_fd, (struct sockaddr *)&address, sizeof address) != 0)
		die("AF_PACKET on %s: %s", sender->options->device, strerror(errno));
	sender->slots = mmap(NULL, PACKET_SLOTS * PACKET_SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			     sender->socket_fd, 0);
	if (sender->slots == MAP_FAILED)
		die("AF_PACKET ring: %s", strerror(errno));
}

static void next_subscriber(struct sender *sender)
{
	const struct blast_plan *plan = &sender->options->plan;
	uint32_t random = sender->random;

	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	sender->random = random;
	uint32_t subscriber = plan->base + plan->stride * (uint32_t)((uint64_t)random * plan->subscribers >> 32);
	set_addresses(sender->frame + 14, plan->up ? subscriber : plan->server, plan->up ? plan->server : subscriber);
	put16(sender->frame + (plan->up ? 36 : 34), plan->first_port + (random & 0xffff) % plan->ports);
}

static void number_frame(struct sender *sender, uint64_t number, uint64_t now)
{
	struct probe_payload payload = { .magic = htonl(PROBE_MAGIC), .sequence = htonl((uint32_t)number), .sent_ns = now };

	memcpy(sender->frame + HEADER_BYTES, &payload, sizeof payload);
}

static void send_packets(struct sender *sender, unsigned frames, uint64_t now)
{
	const unsigned bytes = sender->options->bytes, train = sender->options->train;
	unsigned count = 0;

	for (; count < frames && count < PACKET_SLOTS / 2; count++) {
		struct tpacket2_hdr *slot = (void *)(sender->slots + (size_t)sender->slot * PACKET_SLOT_BYTES);

		if (__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
			break;
		if ((sender->sent + count) % train == 0)
			next_subscriber(sender);
		/* From 1 on: a flow that nothing has come of yet is at 0. */
		if (sender->options->numbered)
			number_frame(sender, sender->sent + count + 1, now);
		memcpy((uint8_t *)slot + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), sender->frame, bytes);
		slot->tp_len = bytes;
		__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		sender->slot = (sender->slot + 1) % PACKET_SLOTS;
	}
	if (send(sender->socket_fd, NULL, 0, 0) < 0 && errno != EINTR && errno != ENOBUFS)
		die("sending on %s: %s", sender->options->device, strerror(errno));
	sender->sent += count;
}

/*
 * How many frames are due. As in blast.bpf.c, a thread that was held up makes good for a while at twice its rate, and
 * leaves out what was due before: one burst of all that it owes would fill the rings of what is measured.
 */
static unsigned due_frames(const struct sender *sender, uint64_t *start_ns, uint64_t now)
{
	if (sender->gap_ns == 0)
		return PACKET_SLOTS;
	double behind_ns = (double)(now - *start_ns) - ((double)sender->sent - 1) * sender->gap_ns;
	const double most = 2 * PACE_NS / sender->gap_ns + 1;

	if (behind_ns > ARREARS_NS) {
		*start_ns += (uint64_t)(behind_ns - ARREARS_NS);
		behind_ns = ARREARS_NS;
	}
	const double due = behind_ns / sender->gap_ns;

	return due < 1 ? 0 : due < most ? (unsigned)due : (unsigned)most;
}

static void run_packets(struct sender *sender)
{
	uint64_t start_ns = now_ns();

	open_packet(sender);
	while (!stopped) {
		const uint64_t now = now_ns();
		const unsigned due = due_frames(sender, &start_ns, now);

		if (due > 0)
			send_packets(sender, due, now);
		if (sender->gap_ns > 0)
			sleep_until_ns(now + PACE_NS);
	}
}

/* ---- threads -------------------------------------------------------------------------------------------- */

static void *run(void *argument)
{
	struct sender *sender = argument;
	const struct options *options = sender->options;

	pin_to(options->cpus[sender->number]);
	prctl(PR_SET_TIMERSLACK, 1);
	build_frame(sender->frame, options->bytes, options->plan.first_port, options->plan.first_port);
	struct bpf_object *object = options->af_packet ? NULL : load_program(sender);
	const uint64_t start_ns = now_ns();
	if (options->af_packet)
		run_packets(sender);
	else
		send_live(sender);
	sender->seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
	bpf_object__close(object);
	return NULL;
}

/* A thread in the kernel sees only signals; one that comes between two calls is lost, so it is repeated. */
static void end(struct sender *sender)
{
	while (pthread_tryjoin_np(sender->thread, NULL) != 0) {
		pthread_kill(sender->thread, SIGTERM);
		sleep_until_ns(now_ns() + 10000000);
	}
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
		senders[i] = (struct sender){ .options = &options, .number = i };
		if (options.pps > 0)
			senders[i].gap_ns = NS_PER_SECOND * options.threads / options.pps;
		if (pthread_create(&senders[i].thread, NULL, run, &senders[i]) != 0)
			die("thread: %s", strerror(errno));
	}
	while (!stopped && now_ns() < end_ns)
		sleep_until_ns(end_ns);
	stopped = 1;
	for (unsigned i = 0; i < options.threads; i++)
		end(&senders[i]);
	for (unsigned i = 0; i < options.threads; i++) {
		sent += senders[i].sent;
		if (senders[i].seconds > seconds)
			seconds = senders[i].seconds;
	}
	printf("{\"sent\":%llu,\"seconds\":%.3f,\"pps\":%.0f,\"cpuSeconds\":%.3f}\n", (unsigned long long)sent, seconds,
	       seconds > 0 ? (double)sent / seconds : 0, cpu_seconds());
	return 0;
}
