/*
 * DPDK's hierarchical scheduler in memory: what the core benchmark compares weir's worker with.
 *
 *   rte-sched --leaves N [--throttled SHARE] [--seconds S] [--seed N] [--memory MB]
 *
 * 64-byte packets of random leaves, in batches of 64: enqueue a batch, dequeue a batch. That alone is timed. Taking
 * packets from their pool, saying which pipe each belongs to and giving them back is not, though weir's figure has its
 * counterparts in it. A leaf is a pipe with one best-effort queue; the other twelve traffic classes are off.
 *
 * The scheduler reads the processor's clock itself, so with throttled leaves batches come at a pace: half of what it
 * bears with such leaves, found in a trial run. Their rate is half of what they are offered then. Without throttled
 * leaves batches follow each other at once.
 *
 * Both are its best case: it starts with a packet in every leaf, because finding the few leaves with packets among many
 * without takes it long; and it is asked for as many packets as the rates allow, because one more than there are makes
 * it look at every leaf that has to wait.
 */
#include "peer.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_sched.h>
#include <rte_version.h>

#define BATCH 64
#define FRAME_BYTES 64
/* Packets a leaf holds; a power of two. */
#define LEAF_PACKETS 8
/* Packets that are on their way beside those in leaves. */
#define PACKETS_MOVING 8192
#define LEAVES_MAX 1000000
/* Packets a second of the port: more than the scheduler can carry, so that it never waits. */
#define PORT_PPS_OPEN 20000000ull
#define PORT_PPS_THROTTLED 4000000ull
/* The scheduler keeps rates to a ten-millionth of the port's, and near that divides by zero. */
#define RATE_STEPS 4000000
#define BURST_BYTES 256
/* Until bursts are used up and queues full, in packets a leaf; and at most this long. */
#define SETTLE_PACKETS 24
#define SETTLE_SECONDS_MAX 10
#define BEST_EFFORT RTE_SCHED_TRAFFIC_CLASS_BE
#define SUBPORT 0
#define PROFILE_OPEN 0
#define PROFILES_MAX 3
/* A throttled pipe's turn must hold a few packets. */
#define PERIOD_PACKETS 4
#define PERIOD_MS_MIN 10

struct totals {
	uint64_t packets;
	uint64_t sent;
	/* Of enqueue and dequeue, and of everything. */
	uint64_t cycles;
	double seconds;
};

static unsigned leaves = 24576;
static double throttled;
static double seconds = 1;
static uint32_t random_state = 1;
static unsigned memory_mb;

static uint64_t port_rate, pipe_rate_min;
/* As many as there are leaves, rounded up to a power of two. */
static unsigned pipes = 1;
static struct rte_sched_port *port;
static struct rte_mempool *pool;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* Throttled leaves are spread evenly among the others. */
static bool is_throttled(unsigned leaf)
{
	return (uint64_t)((leaf + 1) * throttled) > (uint64_t)(leaf * throttled);
}

static struct rte_sched_pipe_params pipe_profile(uint64_t bytes_per_second)
{
	struct rte_sched_pipe_params profile = {
		.tb_rate = bytes_per_second,
		.tb_size = BURST_BYTES,
		.tc_period = PERIOD_MS_MIN,
		.tc_ov_weight = 1,
		.wrr_weights = { 1, 1, 1, 1 },
	};
	uint64_t period_ms = 1000ull * FRAME_BYTES * PERIOD_PACKETS / bytes_per_second + 1;

	profile.tc_rate[BEST_EFFORT] = bytes_per_second;
	if (period_ms > profile.tc_period)
		profile.tc_period = period_ms;
	return profile;
}

static void make_port(void)
{
	struct rte_sched_pipe_params profiles[PROFILES_MAX] = { pipe_profile(port_rate) };
	struct rte_sched_subport_profile_params subport_profile = {
		.tb_rate = port_rate,
		.tb_size = 1000000,
		.tc_period = PERIOD_MS_MIN,
	};
	struct rte_sched_subport_params subport = {
		.n_pipes_per_subport_enabled = pipes,
		.pipe_profiles = profiles,
		.n_pipe_profiles = 1,
		.n_max_pipe_profiles = PROFILES_MAX,
	};
	struct rte_sched_port_params parameters = {
		.name = "port",
		.rate = port_rate,
		.mtu = 1522,
		.n_subports_per_port = 1,
		.subport_profiles = &subport_profile,
		.n_subport_profiles = 1,
		.n_max_subport_profiles = 1,
		.n_pipes_per_subport = pipes,
	};

	for (unsigned i = 0; i < RTE_SCHED_TRAFFIC_CLASSES_PER_PIPE; i++)
		subport_profile.tc_rate[i] = port_rate;
	subport.qsize[BEST_EFFORT] = LEAF_PACKETS;
	port = rte_sched_port_config(&parameters);
	if (port == NULL || rte_sched_subport_config(port, SUBPORT, &subport, 0) != 0)
		die("no memory for %u pipes", pipes);
	for (unsigned pipe = 0; pipe < pipes; pipe++)
		if (rte_sched_pipe_config(port, SUBPORT, pipe, PROFILE_OPEN) != 0)
			die("rte_sched_pipe_config of pipe %u", pipe);
}

/* Gives the throttled leaves this rate. */
static void throttle(uint64_t bytes_per_second)
{
	struct rte_sched_pipe_params profile = pipe_profile(bytes_per_second);
	uint32_t id;

	if (rte_sched_subport_pipe_profile_add(port, SUBPORT, &profile, &id) != 0)
		die("a pipe cannot have %llu bytes a second", (unsigned long long)bytes_per_second);
	for (unsigned leaf = 0; leaf < leaves; leaf++)
		if (is_throttled(leaf) && rte_sched_pipe_config(port, SUBPORT, leaf, (int32_t)id) != 0)
			die("rte_sched_pipe_config of leaf %u", leaf);
}

static void fill(struct rte_mbuf **packets)
{
	if (rte_pktmbuf_alloc_bulk(pool, packets, BATCH) != 0)
		die("no packets left in the pool");
	for (unsigned i = 0; i < BATCH; i++) {
		unsigned leaf = (unsigned)(((uint64_t)next_random() * leaves) >> 32);

		packets[i]->pkt_len = packets[i]->data_len = FRAME_BYTES;
		rte_sched_port_pkt_write(port, packets[i], SUBPORT, leaf, BEST_EFFORT, 0, RTE_COLOR_GREEN);
	}
}

/* Ends after so long or so many packets, whichever is first. With pps 0, batch follows batch. */
static struct totals run(double for_seconds, uint64_t packets_max, double pps)
{
	struct rte_mbuf *packets[BATCH], *out[BATCH];
	struct totals totals = { 0 };
	unsigned asked = (unsigned)(BATCH * (1 - throttled / 2));
	uint64_t hz = rte_get_tsc_hz(), begin = rte_rdtsc(), end = begin + (uint64_t)(for_seconds * (double)hz);
	double batch_cycles = pps > 0 ? (double)hz * BATCH / pps : 0;
	uint64_t start, stop;

	do {
		uint64_t due = begin + (uint64_t)((double)(totals.packets / BATCH) * batch_cycles);
		unsigned sent;

		fill(packets);
		while ((start = rte_rdtsc()) < due)
			;
		rte_sched_port_enqueue(port, packets, BATCH);
		sent = (unsigned)rte_sched_port_dequeue(port, out, asked);
		stop = rte_rdtsc();
		totals.cycles += stop - start;
		totals.packets += BATCH;
		totals.sent += sent;
		rte_pktmbuf_free_bulk(out, sent);
	} while (stop < end && totals.packets < packets_max && !stopped);
	totals.seconds = (double)(stop - begin) / (double)hz;
	return totals;
}

/* A packet for every leaf. */
static void preload(void)
{
	struct rte_mbuf *packets[BATCH];

	for (unsigned sent = 0; sent < leaves; sent += BATCH) {
		fill(packets);
		rte_sched_port_enqueue(port, packets, BATCH);
	}
}

/* Until the throttled leaves are full. */
static struct totals settle(double pps)
{
	uint64_t rate = (uint64_t)(pps / leaves * FRAME_BYTES / 2);

	if (rate < pipe_rate_min)
		die("%u leaves would need rates of %llu bytes a second, and a port of %llu has none below %llu", leaves,
		    (unsigned long long)rate, (unsigned long long)port_rate, (unsigned long long)pipe_rate_min);
	throttle(rate);
	return run(SETTLE_SECONDS_MAX, (uint64_t)leaves * SETTLE_PACKETS, 0);
}

/* The pace at which packets come. */
static double find_pace(void)
{
	struct totals totals;
	double pps = 0;

	preload();
	totals = run(seconds / 5, UINT64_MAX, 0);
	if (throttled == 0)
		return 0;
	for (int trial = 0; trial < PROFILES_MAX - 1; trial++) {
		pps = (double)totals.packets / totals.seconds / 2;
		settle(pps);
		totals = run(seconds / 5, UINT64_MAX, trial == PROFILES_MAX - 2 ? pps : 0);
	}
	return pps;
}

static void start_dpdk(void)
{
	/* A pipe with its queues takes some 2.5 kB, a packet some 0.4 kB. */
	unsigned packets = PACKETS_MOVING + leaves * (throttled > 0 ? LEAF_PACKETS : 2);
	uint64_t bytes = (uint64_t)pipes * 2600 + (uint64_t)packets * 450 + (64ull << 20);
	char megabytes[16];
	char *arguments[] = { "rte-sched",  "--no-huge", "--no-shconf",	    "--no-pci",		 "--no-telemetry", "-m",
			      megabytes, "-l",	       "0",	    "--log-level=lib.eal:4", "--log-level=lib.sched:4" };

	snprintf(megabytes, sizeof megabytes, "%u", memory_mb ? memory_mb : (unsigned)(bytes >> 20));
	if (rte_eal_init((int)(sizeof arguments / sizeof *arguments), arguments) < 0)
		die("rte_eal_init with %s MB: %s", megabytes, rte_strerror(rte_errno));
	pool = rte_pktmbuf_pool_create("packets", packets, 256, 0, RTE_PKTMBUF_HEADROOM + FRAME_BYTES, SOCKET_ID_ANY);
	if (pool == NULL)
		die("no memory for %u packets: %s", packets, rte_strerror(rte_errno));
}

static void read_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(name, "--leaves") == 0)
			leaves = (unsigned)number_of(name, value, 1, LEAVES_MAX);
		else if (strcmp(name, "--throttled") == 0)
			throttled = number_of(name, value, 0, 1);
		else if (strcmp(name, "--seconds") == 0)
			seconds = number_of(name, value, 0.001, SECONDS_MAX);
		else if (strcmp(name, "--seed") == 0)
			random_state = (uint32_t)number_of(name, value, 0, UINT32_MAX);
		else if (strcmp(name, "--memory") == 0)
			memory_mb = (unsigned)number_of(name, value, 64, 1 << 20);
		else
			die("usage: rte-sched --leaves N [--throttled SHARE] [--seconds S] [--seed N] [--memory MB]");
	}
	if (random_state == 0)
		random_state = 1;
}

int main(int argc, char **argv)
{
	struct totals totals;
	double pps, ns;

	read_options(argc, argv);
	port_rate = FRAME_BYTES * (throttled > 0 ? PORT_PPS_THROTTLED : PORT_PPS_OPEN);
	pipe_rate_min = port_rate / RATE_STEPS;
	while (pipes < leaves)
		pipes *= 2;
	stop_on_signals();
	start_dpdk();
	make_port();
	pps = find_pace();
	totals = run(seconds, UINT64_MAX, pps);
	ns = (double)totals.cycles * (double)NS_PER_SECOND / (double)rte_get_tsc_hz() / (double)totals.packets;
	printf("{\"leaves\":%u,\"pipes\":%u,\"throttled\":%g,\"packets\":%llu,"
	       "\"nsPerPacket\":%.2f,\"sentShare\":%.4f,\"dpdk\":\"%s\"}\n",
	       leaves, pipes, throttled, (unsigned long long)totals.packets, ns,
	       (double)totals.sent / (double)totals.packets, rte_version());
	return 0;
}
