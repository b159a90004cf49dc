/*
 * A wire of known faults from one device to another: every frame is delayed, every k-th is lost, every m-th is later than
 * the others. It shows that a receiver's figures are right.
 *
 *   wire FROM TO [--delay-us N] [--drop-every K] [--late-every M] [--late-us N] [--seconds S]
 *
 * Frames are counted from 1; one that is dropped is not made late as well. Up to some 100,000 a second and 32,768 under way.
 * Writes `ready` to stderr when it forwards.
 */
#include "packet.h"
#include <poll.h>
#include <sys/prctl.h>

#define WIRE_FRAMES 32768
#define IDLE_NS 1000000

struct held_frame {
	uint64_t due_ns;
	uint32_t bytes;
	uint8_t data[FRAME_BYTES_MAX];
};

/* First in, first out, and due in that order: all its frames have the same delay. */
struct line {
	uint64_t delay_ns;
	uint32_t head, tail;
	struct held_frame *frames;
};

struct options {
	uint64_t delay_ns, late_ns, drop_every, late_every;
	double seconds;
};

struct result {
	uint64_t received, sent, dropped, late, failed;
};

static void parse(int count, char **words, struct options *options)
{
	*options = (struct options){ .seconds = 5 };
	if (count < 3)
		die("usage: wire FROM TO [--delay-us N] [--drop-every K] [--late-every M] [--late-us N] [--seconds S]");
	for (int i = 3; i < count; i += 2) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : "";

		if (strcmp(name, "--delay-us") == 0)
			options->delay_ns = (uint64_t)(number_of(name, value, 0, 1e6) * 1000);
		else if (strcmp(name, "--late-us") == 0)
			options->late_ns = (uint64_t)(number_of(name, value, 0, 1e6) * 1000);
		else if (strcmp(name, "--drop-every") == 0)
			options->drop_every = (uint64_t)number_of(name, value, 1, 1e9);
		else if (strcmp(name, "--late-every") == 0)
			options->late_every = (uint64_t)number_of(name, value, 1, 1e9);
		else if (strcmp(name, "--seconds") == 0)
			options->seconds = number_of(name, value, 0, SECONDS_MAX);
		else
			die("%s: unknown", name);
	}
}

static struct line line_of(uint64_t delay_ns)
{
	struct line line = { .delay_ns = delay_ns, .frames = calloc(WIRE_FRAMES, sizeof *line.frames) };

	if (line.frames == NULL)
		die("no memory");
	return line;
}

static struct held_frame *first_of(struct line *line)
{
	return line->head == line->tail ? NULL : &line->frames[line->head % WIRE_FRAMES];
}

/* Takes one frame off the socket; false when there is none. */
static bool take(int fd, const struct options *options, struct line *lines, struct result *result)
{
	static uint8_t data[FRAME_BYTES_MAX];
	const ssize_t bytes = recv(fd, data, sizeof data, MSG_DONTWAIT);

	if (bytes < 0)
		return false;
	const uint64_t number = ++result->received;

	if (options->drop_every > 0 && number % options->drop_every == 0) {
		result->dropped++;
		return true;
	}
	const bool is_late = options->late_every > 0 && number % options->late_every == 0;
	struct line *line = &lines[is_late];

	result->late += is_late;
	if (line->tail - line->head == WIRE_FRAMES)
		die("more than %d frames under way", WIRE_FRAMES);
	struct held_frame *frame = &line->frames[line->tail++ % WIRE_FRAMES];

	frame->due_ns = now_ns() + line->delay_ns;
	frame->bytes = (uint32_t)bytes;
	memcpy(frame->data, data, (size_t)bytes);
	return true;
}

/* Sends what is due; returns when the next frame is, or UINT64_MAX. */
static uint64_t send_due(int fd, struct line *lines, struct result *result)
{
	for (;;) {
		struct held_frame *one = first_of(&lines[0]), *other = first_of(&lines[1]);
		const bool takes_other = other != NULL && (one == NULL || other->due_ns < one->due_ns);
		struct held_frame *next = takes_other ? other : one;

		if (next == NULL)
			return UINT64_MAX;
		if (next->due_ns > now_ns())
			return next->due_ns;
		if (send(fd, next->data, next->bytes, 0) == (ssize_t)next->bytes)
			result->sent++;
		else
			result->failed++;
		lines[takes_other].head++;
	}
}

int main(int count, char **words)
{
	struct options options;
	struct result result = { 0 };

	parse(count, words, &options);
	stop_on_signals();
	prctl(PR_SET_TIMERSLACK, 1);
	const int from = receiving_socket(words[1]), to = sending_socket(words[2]);
	struct line lines[2] = { line_of(options.delay_ns), line_of(options.delay_ns + options.late_ns) };

	fputs("ready\n", stderr);
	const uint64_t end_ns = now_ns() + (uint64_t)(options.seconds * NS_PER_SECOND);
	while (!stopped && now_ns() < end_ns) {
		while (take(from, &options, lines, &result))
			;
		const uint64_t now = now_ns(), due_ns = send_due(to, lines, &result);
		const uint64_t wait_ns = due_ns <= now ? 0 : due_ns - now < IDLE_NS ? due_ns - now : IDLE_NS;
		const struct timespec patience = { .tv_nsec = (long)wait_ns };

		ppoll(&(struct pollfd){ .fd = from, .events = POLLIN }, 1, &patience, NULL);
	}
	printf("{\"received\":%llu,\"sent\":%llu,\"dropped\":%llu,\"late\":%llu,\"failed\":%llu,\"missed\":%u}\n",
	       (unsigned long long)result.received, (unsigned long long)result.sent, (unsigned long long)result.dropped,
	       (unsigned long long)result.late, (unsigned long long)result.failed, dropped_at(from));
	return 0;
}
