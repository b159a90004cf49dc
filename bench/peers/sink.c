/*
 * Counts the packets that arrive on a device, and drops them or, with --pass, lets them go on.
 *
 *   sink DEVICE [--seconds S] [--count N] [--subscribers N] [--base 10.0.0.0] [--stride N] [--direction down|up]
 *        [--order] [--latency [PORT]] [--sizes] [--millis] [--pass] [--skb]
 *
 * Prints packets, bytes, the rate of every second, with --subscribers the packets and bytes of each, with --sizes the packets
 * of each frame size. With --millis the packets and bytes of every millisecond, when (CLOCK_MONOTONIC) the first began and
 * which was the first to be counted as a whole, so that a gap can be measured and set against what else happened. With --order also how many numbered frames (see blast.c)
 * came, how many of them after a later one of their subscriber, and how many numbers between the lowest and the highest
 * did not come. With --latency how long probes (see probe.c) or numbered frames took from the sender's clock to this
 * device, in microseconds: those to the UDP port given, 7777 unless told, 0 for any. That is read off by the XDP
 * program, so no thread here has to be woken first or takes a CPU from what is measured. Ends early when --count packets have
 * come. Writes `ready` to stderr when it counts.
 */
#include "peer.h"
#include "sink.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#define PROBE_PORT 7777
/* Whether --count packets have come is looked up this often. */
#define LOOK_NS 10000000
/* A reading that took longer than this was interrupted, and is made again a few times. */
#define READING_MAX_NS 200000
#define READINGS_MAX 10

struct options {
	const char *device;
	unsigned seconds;
	/* Packets after which it ends; 0: none. */
	uint64_t count;
	struct sink_plan plan;
	unsigned attach_flags;
};

static struct sink_count *per_cpu;
static int cpus;
static int attached_ifindex;
static unsigned attached_flags;

/* Also when the run fails: an attached program would outlive it. */
static void detach(void)
{
	bpf_xdp_detach(attached_ifindex, attached_flags, NULL);
}

static void parse(int count, char **words, struct options *options)
{
	*options = (struct options){ .seconds = 5, .plan = { .base = 0x0a000000, .stride = 1 },
				     .attach_flags = XDP_FLAGS_DRV_MODE };
	struct sink_plan *plan = &options->plan;
	if (count < 2)
		die("usage: sink DEVICE [--seconds S] [--count N] [--subscribers N] [--base A] [--stride N] "
		    "[--direction down|up] [--order] [--latency [PORT]] [--sizes] [--millis] [--pass] [--skb]");
	options->device = words[1];
	for (int i = 2; i < count; i++) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : "";

		if (strcmp(name, "--skb") == 0) {
			options->attach_flags = XDP_FLAGS_SKB_MODE;
			continue;
		}
		if (strcmp(name, "--order") == 0) {
			plan->order = 1;
			continue;
		}
		if (strcmp(name, "--millis") == 0) {
			plan->millis = 1;
			continue;
		}
		if (strcmp(name, "--pass") == 0) {
			plan->pass = 1;
			continue;
		}
		if (strcmp(name, "--sizes") == 0) {
			plan->sizes = 1;
			continue;
		}
		if (strcmp(name, "--latency") == 0) {
			plan->latency = 1;
			plan->probe_port = PROBE_PORT;
			if (value[0] < '0' || value[0] > '9')
				continue;
		}
		i++;
		if (strcmp(name, "--latency") == 0)
			plan->probe_port = (uint32_t)number_of(name, value, 0, 65535);
		else if (strcmp(name, "--count") == 0)
			options->count = (uint64_t)number_of(name, value, 1, 1e12);
		else if (strcmp(name, "--seconds") == 0)
			options->seconds = (unsigned)number_of(name, value, 1, SECONDS_MAX);
		else if (strcmp(name, "--subscribers") == 0)
			plan->subscribers = (uint32_t)number_of(name, value, 1, 1 << 20);
		else if (strcmp(name, "--base") == 0)
			plan->base = address_of(name, value);
		else if (strcmp(name, "--stride") == 0)
			plan->stride = (uint32_t)number_of(name, value, 1, 1 << 24);
		else if (strcmp(name, "--direction") == 0 && strcmp(value, "up") == 0)
			plan->up = 1;
		else if (strcmp(name, "--direction") != 0 || strcmp(value, "down") != 0)
			die("%s %s: unknown", name, value);
	}
	if (plan->order && plan->subscribers == 0)
		die("--order needs --subscribers");
}

/* Counting begins now; that is a constant of the program, as it is how many milliseconds there are to count. */
static void begin_millis(struct options *options)
{
	if (options->plan.millis == 0)
		return;
	if (options->seconds > MILLIS_MAX / 1000)
		die("--seconds: at most %d with --millis", MILLIS_MAX / 1000);
	options->plan.millis = options->seconds * 1000;
	options->plan.start_ns = now_ns();
}

static struct bpf_object *load_program(const struct options *options)
{
	struct bpf_object *object = bpf_object__open_file(object_path("sink"), NULL);

	if (object == NULL)
		die("%s: %s", object_path("sink"), strerror(errno));
	if (bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"), &options->plan,
				       sizeof options->plan) != 0)
		die("sink.bpf.o: constants of another size");
	if (options->plan.subscribers > 0)
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "subscribers"), options->plan.subscribers);
	if (options->plan.order)
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "numbers"), options->plan.subscribers);
	if (options->plan.millis > 0)
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "millis"), options->plan.millis);
	if (bpf_object__load(object) != 0)
		die("sink.bpf.o: %s", strerror(errno));
	return object;
}

static struct sink_count sum_of(int map, uint32_t key)
{
	struct sink_count sum = { 0, 0 };

	if (bpf_map_lookup_elem(map, &key, per_cpu) != 0)
		die("counters: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.packets += per_cpu[cpu].packets;
		sum.bytes += per_cpu[cpu].bytes;
	}
	return sum;
}

/* What has come so far, and when that was: a thread that loses its CPU in between would tell of two different times. */
struct reading {
	struct sink_count sum;
	uint64_t at_ns;
};

static struct reading read_total(int map)
{
	struct reading reading;

	for (int i = 0; i < READINGS_MAX; i++) {
		const uint64_t before_ns = now_ns();

		reading.sum = sum_of(map, 0);
		reading.at_ns = now_ns();
		if (reading.at_ns - before_ns < READING_MAX_NS)
			break;
	}
	return reading;
}

/* The sum of a 64-bit counter that each CPU has for itself. */
static uint64_t packets_at(int map, uint32_t key)
{
	uint64_t *one = (uint64_t *)per_cpu, packets = 0;

	if (bpf_map_lookup_elem(map, &key, one) != 0)
		die("counters: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus; cpu++)
		packets += one[cpu];
	return packets;
}

static void print_subscribers(int map, unsigned subscribers)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		printf(bytes ? ",\"subscriberBytes\":[" : ",\"subscriberPackets\":[");
		for (uint32_t i = 0; i < subscribers; i++) {
			struct sink_count sum = sum_of(map, i);
			printf("%s%llu", i ? "," : "", (unsigned long long)(bytes ? sum.bytes : sum.packets));
		}
		printf("]");
	}
}

static void print_order(int map)
{
	struct sink_order sum = { 0 }, *one = (struct sink_order *)per_cpu;
	uint32_t key = 0;

	if (bpf_map_lookup_elem(map, &key, one) != 0)
		die("order: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.numbered += one[cpu].numbered;
		sum.late += one[cpu].late;
		if (one[cpu].lowest > 0 && (sum.lowest == 0 || one[cpu].lowest < sum.lowest))
			sum.lowest = one[cpu].lowest;
		if (one[cpu].highest > sum.highest)
			sum.highest = one[cpu].highest;
	}
	const long long expected = sum.numbered > 0 ? (long long)sum.highest - sum.lowest + 1 : 0;

	printf(",\"numbered\":%llu,\"late\":%llu,\"missing\":%lld", (unsigned long long)sum.numbered,
	       (unsigned long long)sum.late, expected - (long long)sum.numbered);
}

static unsigned bucket_us(unsigned bucket)
{
	return bucket < LATENCY_FINE ? bucket : LATENCY_FINE + (bucket - LATENCY_FINE) * LATENCY_COARSE_US;
}

/* The least number of microseconds that a share of the probes did not pass. */
static unsigned quantile_us(const uint64_t *buckets, uint64_t count, double share)
{
	uint64_t below = 0;
	unsigned bucket = 0;

	for (; bucket < LATENCY_BUCKETS - 1; bucket++) {
		below += buckets[bucket];
		if ((double)below >= share * (double)count)
			break;
	}
	return bucket_us(bucket);
}

static void print_latency(int map)
{
	static uint64_t buckets[LATENCY_BUCKETS];
	uint64_t count = 0;
	unsigned longest = 0, shortest = LATENCY_BUCKETS;

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		buckets[i] = packets_at(map, i);
		count += buckets[i];
		if (buckets[i] > 0)
			longest = i;
		if (buckets[i] > 0 && i < shortest)
			shortest = i;
	}
	printf(",\"latencyUs\":{\"probes\":%llu", (unsigned long long)count);
	if (count > 0)
		printf(",\"min\":%u,\"p50\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u", bucket_us(shortest),
		       quantile_us(buckets, count, 0.5), quantile_us(buckets, count, 0.99), quantile_us(buckets, count, 0.999),
		       bucket_us(longest));
	printf("}");
}

static void print_sizes(int map)
{
	const char *separator = "";

	printf(",\"sizePackets\":{");
	for (uint32_t bytes = 0; bytes < SIZES_MAX; bytes++) {
		const uint64_t packets = packets_at(map, bytes);

		if (packets == 0)
			continue;
		printf("%s\"%u\":%llu", separator, bytes, (unsigned long long)packets);
		separator = ",";
	}
	printf("}");
}

static void print_millis(int map, const struct sink_plan *plan, uint64_t attached_ns)
{
	printf(",\"startNs\":%llu,\"firstMilli\":%llu", (unsigned long long)plan->start_ns,
	       (unsigned long long)(attached_ns - plan->start_ns) / 1000000 + 1);
	for (int bytes = 0; bytes < 2; bytes++) {
		printf(bytes ? ",\"milliBytes\":[" : ",\"milliPackets\":[");
		for (uint32_t i = 0; i < plan->millis; i++) {
			struct sink_count sum = sum_of(map, i);
			printf("%s%llu", i ? "," : "", (unsigned long long)(bytes ? sum.bytes : sum.packets));
		}
		printf("]");
	}
}

static void attach(const struct options *options, int ifindex, int program)
{
	unsigned flags = options->attach_flags;
	int error = bpf_xdp_attach(ifindex, program, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);

	/* The driver knows nothing of XDP. */
	if (error == -EOPNOTSUPP && flags == XDP_FLAGS_DRV_MODE) {
		flags = XDP_FLAGS_SKB_MODE;
		error = bpf_xdp_attach(ifindex, program, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	}
	if (error != 0)
		die("XDP on %s: %s", options->device, strerror(-error));
	attached_ifindex = ifindex;
	attached_flags = flags;
	atexit(detach);
}

/* Sleeps until then, or until as many packets have come as were asked for; false then. */
static bool wait_until(uint64_t when_ns, int total, uint64_t count)
{
	while (count > 0 && now_ns() + LOOK_NS < when_ns && !stopped) {
		sleep_until_ns(now_ns() + LOOK_NS);
		if (sum_of(total, 0).packets >= count)
			return false;
	}
	sleep_until_ns(when_ns);
	return true;
}

int main(int count, char **words)
{
	static uint64_t second_packets[SECONDS_MAX];
	struct options options;
	unsigned seconds = 0;

	parse(count, words, &options);
	int ifindex = (int)device_index(options.device);
	begin_millis(&options);
	struct bpf_object *object = load_program(&options);
	int total = bpf_object__find_map_fd_by_name(object, "total");
	cpus = libbpf_num_possible_cpus();
	/* The largest of what is kept for each CPU. */
	per_cpu = calloc((size_t)cpus, sizeof(struct sink_order));
	if (cpus < 1 || per_cpu == NULL)
		die("counters: no memory");
	stop_on_signals();
	int program = bpf_program__fd(bpf_object__find_program_by_name(object, "sink"));
	attach(&options, ifindex, program);
	const uint64_t attached_ns = now_ns();
	fputs("ready\n", stderr);
	const struct reading start = read_total(total);
	uint64_t before = 0;
	for (bool goes_on = true; goes_on && !stopped && seconds < options.seconds;) {
		goes_on = wait_until(start.at_ns + (seconds + 1) * NS_PER_SECOND, total, options.count);
		uint64_t packets = sum_of(total, 0).packets;
		second_packets[seconds++] = packets - before;
		before = packets;
	}
	const struct reading end = read_total(total);
	const double elapsed = (double)(end.at_ns - start.at_ns) / NS_PER_SECOND;
	printf("{\"packets\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"pps\":%.0f,\"secondPackets\":[",
	       (unsigned long long)end.sum.packets, (unsigned long long)end.sum.bytes, elapsed,
	       (double)(end.sum.packets - start.sum.packets) / elapsed);
	for (unsigned i = 0; i < seconds; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)second_packets[i]);
	printf("]");
	if (options.plan.subscribers > 0)
		print_subscribers(bpf_object__find_map_fd_by_name(object, "subscribers"), options.plan.subscribers);
	if (options.plan.order)
		print_order(bpf_object__find_map_fd_by_name(object, "order"));
	if (options.plan.sizes)
		print_sizes(bpf_object__find_map_fd_by_name(object, "sizes"));
	if (options.plan.millis > 0)
		print_millis(bpf_object__find_map_fd_by_name(object, "millis"), &options.plan, attached_ns);
	if (options.plan.latency)
		print_latency(bpf_object__find_map_fd_by_name(object, "latency"));
	printf("}\n");
	return 0;
}
