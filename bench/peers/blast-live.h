/*
 * blast by frames that the kernel makes ("live frames" of BPF_PROG_TEST_RUN, Linux 5.18; documented in
 * Documentation/bpf/bpf_prog_run.rst): an XDP program runs on recycled pages and redirects each into the device.
 */
#ifndef BLAST_LIVE_H
#define BLAST_LIVE_H

#include "blast-frames.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

/* Tries in one system call, in effect without end: tearing down after a call takes some 30 ms, a signal ends it. */
#define RUN_FRAMES (1u << 30)
/* Frames that are on their way at once; a veth queue holds 256. */
#define LIVE_BATCH 64

static void fill_picks(struct bpf_object *object, const struct options *options)
{
	const int map = bpf_object__find_map_fd_by_name(object, "picks");

	for (uint32_t i = 0; i < options->plan.subscribers; i++)
		if (bpf_map_update_elem(map, &i, &options->picks[i], 0) != 0)
			die("blast.bpf.o: picks: %s", strerror(errno));
}

static struct bpf_object *load_program(struct sender *sender)
{
	const struct options *options = sender->options;
	struct bpf_object *object = bpf_object__open_file(object_path("blast"), NULL);
	struct blast_plan plan = options->plan;

	if (object == NULL)
		die("%s: %s", object_path("blast"), strerror(errno));
	plan.thread = sender->number;
	plan.gap = (uint64_t)(sender->gap_ns * (1 << PACE_SHIFT));
	plan.count = sender->count;
	memcpy(plan.header, sender->frame, sizeof plan.header);
	put16(sender->frame + 16, 0);
	plan.header_sum = sum16(sender->frame + 14, 20);
	if (bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"), &plan, sizeof plan) != 0)
		die("blast.bpf.o: constants of another size");
	if (options->picks != NULL)
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "picks"), plan.subscribers);
	if (bpf_object__load(object) != 0)
		die("blast.bpf.o: %s", strerror(errno));
	if (options->picks != NULL)
		fill_picks(object, options);
	sender->program = bpf_program__fd(bpf_object__find_program_by_name(object, "blast"));
	return object;
}

/* Has the kernel send frames until a signal comes. False: it cannot. */
static bool send_live(struct sender *sender)
{
	struct bpf_object *object = load_program(sender);
	const int states = bpf_object__find_map_fd_by_name(object, "states");
	struct blast_state state = { .random = first_random(sender), .start_ns = now_ns() };
	bool works = true;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = sender->frame, .data_size_in = sender->options->plan.bytes,
		    .repeat = RUN_FRAMES, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = LIVE_BATCH);

	if (bpf_map_update_elem(states, &sender->number, &state, 0) != 0)
		die("blast.bpf.o: states: %s", strerror(errno));
	__atomic_store_n(&sender->states, states, __ATOMIC_RELEASE);
	while (!stopped && works)
		works = bpf_prog_test_run_opts(sender->program, &run) == 0 || errno == EINTR;
	const int error = errno;

	if (bpf_map_lookup_elem(states, &sender->number, &state) != 0)
		die("blast.bpf.o: states: %s", strerror(errno));
	if (!works && state.sent > 0)
		die("live frames: %s", strerror(error));
	sender->sent = state.sent;
	sender->seconds = (double)((state.end_ns > 0 ? state.end_ns : now_ns()) - state.start_ns) / NS_PER_SECOND;
	__atomic_store_n(&sender->states, -1, __ATOMIC_RELEASE);
	bpf_object__close(object);
	return works;
}

#endif
