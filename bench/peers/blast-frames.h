/* Who a frame is for, how large it is and what it says: of blast's senders that make their frames themselves. */
#ifndef BLAST_FRAMES_H
#define BLAST_FRAMES_H

#include "peer.h"
#include "blast.h"
#include "sink.h"
#include <math.h>
#include <pthread.h>

/* A paced thread sends what is due this often. */
#define PACE_NS 100000
/* How long the device may take for what it was handed last. */
#define FLUSH_NS 200000000ull

struct options {
	const char *device;
	double pps, seconds, zipf;
	uint64_t count;
	struct blast_plan plan;
	enum { LIVE_FRAMES, AF_XDP_SOCKET, AF_PACKET_RING } method;
	unsigned train;
	uint8_t to[6];
	bool has_to;
	struct blast_pick *picks;
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
	uint32_t random, turn, size_at;
	uint64_t sent, count;
	/* Why there are no live frames; sent in another way then. */
	bool fell_back;
	/* Between frames of this thread; 0: as fast as it goes. */
	double gap_ns, seconds;
	/* What is due is sent no sooner: half a gap for each frame that was sent last. */
	uint64_t earliest_ns;
	uint8_t frame[FRAME_BYTES_MAX];
};

static uint32_t first_random(const struct sender *sender)
{
	return 2463534242u + sender->number * 7919;
}

static uint32_t next_random(struct sender *sender)
{
	sender->random = xorshift(sender->random);
	return sender->random;
}

static void next_subscriber(struct sender *sender)
{
	const struct blast_plan *plan = &sender->options->plan;
	const struct blast_pick *picks = sender->options->picks;
	const uint32_t random = next_random(sender);
	uint32_t number = (uint32_t)((uint64_t)random * plan->subscribers >> 32);

	if (plan->choice == CHOICE_IN_TURN) {
		number = sender->turn;
		sender->turn = number + 1 < plan->subscribers ? number + 1 : 0;
	} else if (plan->choice == CHOICE_TABLE && next_random(sender) >= picks[number].keep) {
		number = picks[number].other;
	}
	const uint32_t subscriber = plan->base + plan->stride * number;

	put32(sender->frame + 26, plan->up ? subscriber : plan->server);
	put32(sender->frame + 30, plan->up ? plan->server : subscriber);
	put16(sender->frame + (plan->up ? 36 : 34), plan->first_port + (random & 0xffff) % plan->ports);
}

/* Makes sender->frame the next one and returns its size. */
static unsigned next_frame(struct sender *sender, uint64_t now)
{
	const struct blast_plan *plan = &sender->options->plan;
	const unsigned bytes = plan->sizes[sender->size_at];

	sender->size_at = sender->size_at + 1 < plan->mix ? sender->size_at + 1 : 0;
	if (sender->sent % sender->options->train == 0)
		next_subscriber(sender);
	put16(sender->frame + 16, bytes - 14);
	put16(sender->frame + 38, bytes - 34);
	set_checksum(sender->frame + 14);
	sender->sent++;
	/* From 1 on: a flow that nothing has come of yet is at 0. */
	if (plan->numbered) {
		const struct probe_payload payload = { .magic = htonl(PROBE_MAGIC),
						       .sequence = htonl((uint32_t)sender->sent), .sent_ns = now };

		memcpy(sender->frame + HEADER_BYTES, &payload, sizeof payload);
	}
	return bytes;
}

/*
 * How many frames are due, at most `most`. As in blast.bpf.c, a thread that was held up makes good for a while at
 * twice its rate, and leaves out what was due before: one burst of all that it owes would fill the rings of what is
 * measured.
 */
static unsigned due_frames(const struct sender *sender, uint64_t *start_ns, uint64_t now, unsigned most)
{
	const uint64_t left = sender->count == 0 ? most : sender->count - sender->sent;

	if (left < most)
		most = (unsigned)left;
	if (sender->gap_ns == 0)
		return most;
	if (now < sender->earliest_ns)
		return 0;
	double behind_ns = (double)(now - *start_ns) - ((double)sender->sent - 1) * sender->gap_ns;

	if (behind_ns > ARREARS_NS) {
		*start_ns += (uint64_t)(behind_ns - ARREARS_NS);
		behind_ns = ARREARS_NS;
	}
	const double due = behind_ns / sender->gap_ns, twice = 2 * PACE_NS / sender->gap_ns + 1;
	const double now_due = due < twice ? due : twice;

	return now_due < 1 ? 0 : now_due < most ? (unsigned)now_due : most;
}

/*
 * Has `send_some` send what is due until all is sent or the run is stopped; then waits until `is_idle`, that is, until
 * the device has taken everything.
 */
static void send_due(struct sender *sender, unsigned most, void (*send_some)(struct sender *, unsigned, uint64_t),
		     bool (*is_idle)(struct sender *))
{
	uint64_t start_ns = now_ns();

	while (!stopped && (sender->count == 0 || sender->sent < sender->count)) {
		const uint64_t now = now_ns();
		const unsigned due = due_frames(sender, &start_ns, now, most);

		if (due > 0) {
			send_some(sender, due, now);
			sender->earliest_ns = now + (uint64_t)(due * sender->gap_ns / 2);
		}
		if (sender->gap_ns > 0)
			sleep_until_ns(now + PACE_NS);
	}
	for (const uint64_t end_ns = now_ns() + FLUSH_NS; !is_idle(sender) && now_ns() < end_ns;)
		send_some(sender, 0, 0);
}

/*
 * A table for drawing subscriber i (from 1) with a chance in proportion to i^-exponent, in Vose's way: entries that are
 * owed more than their share lend what those with less leave of theirs.
 */
static struct blast_pick *zipf_picks(uint32_t count, double exponent)
{
	struct blast_pick *picks = calloc(count, sizeof *picks);
	double *share = calloc(count, sizeof *share), sum = 0;
	uint32_t *small = calloc(count, sizeof *small), *large = calloc(count, sizeof *large);
	uint32_t smalls = 0, larges = 0;

	if (picks == NULL || share == NULL || small == NULL || large == NULL)
		die("--zipf: no memory");
	for (uint32_t i = 0; i < count; i++)
		sum += share[i] = pow(i + 1, -exponent);
	for (uint32_t i = 0; i < count; i++) {
		share[i] *= count / sum;
		if (share[i] < 1)
			small[smalls++] = i;
		else
			large[larges++] = i;
	}
	while (smalls > 0 && larges > 0) {
		const uint32_t less = small[--smalls], more = large[larges - 1];

		picks[less] = (struct blast_pick){ .keep = (uint32_t)(share[less] * 4294967296.0), .other = more };
		share[more] -= 1 - share[less];
		if (share[more] < 1) {
			larges--;
			small[smalls++] = more;
		}
	}
	/* What rounding left over has its whole share. */
	while (larges > 0)
		picks[large[--larges]] = (struct blast_pick){ .keep = UINT32_MAX, .other = large[larges] };
	while (smalls > 0)
		picks[small[--smalls]] = (struct blast_pick){ .keep = UINT32_MAX, .other = small[smalls] };
	free(share);
	free(small);
	free(large);
	return picks;
}

#endif
