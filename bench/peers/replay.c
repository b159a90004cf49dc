/*
 * Sends the frames of a file (frames.h) into a device, each at its time.
 *
 *   replay DEVICE FILE [--speed F] [--loop N] [--count N] [--seconds S]
 *
 * --speed 2 halves all times. The next of several loops begins one mean gap after the last frame of the one before. A
 * frame whose time is before that of the one ahead of it goes right behind that one. `lateUs` is how long after its time a
 * frame was handed to the device.
 */
#include "packet.h"
#include "frames.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* A thread is woken late by some microseconds, so the last of a wait is spent awake. */
#define AWAKE_NS 150000
/* Of one frame alone, between loops. */
#define LONE_GAP_NS 1000000

struct file {
	const uint8_t *start, *end;
	uint64_t frames, last_ns;
};

struct result {
	uint64_t sent, failed, bytes;
	double late_us_sum, late_us_max;
	unsigned loops;
};

struct limits {
	uint64_t end_ns;
	/* Frames sent and failed. */
	uint64_t count;
	double speed;
};

static struct file open_file(const char *path)
{
	struct file file = { 0 };
	struct stat status;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &status) != 0)
		die("%s: %s", path, strerror(errno));
	if (status.st_size == 0)
		die("%s: no frames", path);
	file.start = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file.start == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	file.end = file.start + status.st_size;
	for (const uint8_t *at = file.start; at < file.end; file.frames++) {
		const struct frame_record *record = (const void *)at;

		if (at + sizeof *record > file.end || record->bytes > RECORD_BYTES_MAX ||
		    at + sizeof *record + padded_bytes(record->bytes) > file.end)
			die("%s: offset %td: not a frame", path, at - file.start);
		if (record->at_ns > file.last_ns)
			file.last_ns = record->at_ns;
		at += sizeof *record + padded_bytes(record->bytes);
	}
	return file;
}

static void wait_until(uint64_t when_ns)
{
	if (when_ns > now_ns() + AWAKE_NS)
		sleep_until_ns(when_ns - AWAKE_NS);
	while (!stopped && now_ns() < when_ns)
		;
}

/* One loop, whose first frame is due at start_ns. False when a limit was reached before its end. */
static bool send_all(int fd, const struct file *file, uint64_t start_ns, const struct limits *limits,
		     struct result *result)
{
	for (const uint8_t *at = file->start; at < file->end;) {
		const struct frame_record *record = (const void *)at;
		const uint64_t due_ns = start_ns + (uint64_t)((double)record->at_ns / limits->speed);

		if (result->sent + result->failed == limits->count)
			return false;
		if (due_ns < limits->end_ns)
			wait_until(due_ns);
		const uint64_t now = now_ns();

		if (stopped || due_ns >= limits->end_ns || now >= limits->end_ns)
			return false;
		if (send(fd, record + 1, record->bytes, 0) == (ssize_t)record->bytes) {
			const double late_us = now > due_ns ? (double)(now - due_ns) / 1000 : 0;

			result->sent++;
			result->bytes += record->bytes;
			result->late_us_sum += late_us;
			if (late_us > result->late_us_max)
				result->late_us_max = late_us;
		} else {
			result->failed++;
		}
		at += sizeof *record + padded_bytes(record->bytes);
	}
	return true;
}

int main(int count, char **words)
{
	struct limits limits = { .speed = 1, .count = UINT64_MAX };
	double seconds = 60;
	unsigned loops = 1;
	struct result result = { 0 };

	if (count < 3)
		die("usage: replay DEVICE FILE [--speed F] [--loop N] [--count N] [--seconds S]");
	for (int i = 3; i < count; i += 2) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : "";

		if (strcmp(name, "--speed") == 0)
			limits.speed = number_of(name, value, 1e-3, 1e6);
		else if (strcmp(name, "--loop") == 0)
			loops = (unsigned)number_of(name, value, 1, 1e9);
		else if (strcmp(name, "--count") == 0)
			limits.count = (uint64_t)number_of(name, value, 1, 1e12);
		else if (strcmp(name, "--seconds") == 0)
			seconds = number_of(name, value, 0, SECONDS_MAX);
		else
			die("%s: unknown", name);
	}
	stop_on_signals();
	const int fd = sending_socket(words[1]);
	const struct file file = open_file(words[2]);
	const uint64_t gap_ns = file.frames > 1 ? file.last_ns / (file.frames - 1) : LONE_GAP_NS;

	prctl(PR_SET_TIMERSLACK, 1);
	const uint64_t start_ns = now_ns();
	limits.end_ns = start_ns + (uint64_t)(seconds * NS_PER_SECOND);
	bool is_whole = true;
	for (; is_whole && result.loops < loops; result.loops += is_whole) {
		const double at_ns = (double)(file.last_ns + gap_ns) / limits.speed * result.loops;

		is_whole = send_all(fd, &file, start_ns + (uint64_t)at_ns, &limits, &result);
	}
	const double elapsed = (double)(now_ns() - start_ns) / NS_PER_SECOND;
	printf("{\"frames\":%llu,\"sent\":%llu,\"failed\":%llu,\"bytes\":%llu,\"loops\":%u,\"isWhole\":%s,\"seconds\":%.6f,"
	       "\"lateUs\":{\"mean\":%.1f,\"max\":%.1f}}\n",
	       (unsigned long long)file.frames, (unsigned long long)result.sent, (unsigned long long)result.failed,
	       (unsigned long long)result.bytes, result.loops, is_whole ? "true" : "false", elapsed,
	       result.sent > 0 ? result.late_us_sum / (double)result.sent : 0, result.late_us_max);
	return 0;
}
