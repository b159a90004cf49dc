/*
 * Writes the frames that arrive at a device, with the kernel's time of each, into a file (frames.h): for short captures,
 * such as those of tests.
 *
 *   record DEVICE FILE [--count N] [--seconds S]
 *
 * A VLAN tag that the device took out of a frame is not in the file. Writes `ready` to stderr when it records.
 */
#include "packet.h"
#include "frames.h"
#include <sys/time.h>

struct capture {
	FILE *file;
	uint64_t frames, first_ns;
};

static uint64_t time_of(struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);
	struct timespec at = { 0, 0 };

	for (; part != NULL; part = CMSG_NXTHDR(message, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&at, CMSG_DATA(part), sizeof at);
	return (uint64_t)at.tv_sec * NS_PER_SECOND + (uint64_t)at.tv_nsec;
}

/* False when nothing came for a while. */
static bool record_one(int fd, struct capture *capture)
{
	static uint8_t frame[RECORD_BYTES_MAX + RECORD_ALIGN];
	uint8_t control[256];
	struct iovec data = { frame, RECORD_BYTES_MAX };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	const ssize_t bytes = recvmsg(fd, &message, 0);

	if (bytes < 0)
		return false;
	const uint64_t at_ns = time_of(&message);

	if (capture->frames++ == 0)
		capture->first_ns = at_ns;
	const struct frame_record record = { .at_ns = at_ns - capture->first_ns, .bytes = (uint32_t)bytes };

	memset(frame + bytes, 0, RECORD_ALIGN);
	if (fwrite(&record, sizeof record, 1, capture->file) != 1 ||
	    fwrite(frame, padded_bytes(record.bytes), 1, capture->file) != 1)
		die("the file: %s", strerror(errno));
	return true;
}

int main(int count, char **words)
{
	double seconds = 5, most = 1e12;
	int one = 1;
	const struct timeval patience = { .tv_usec = 20000 };
	struct capture capture = { 0 };

	if (count < 3)
		die("usage: record DEVICE FILE [--count N] [--seconds S]");
	for (int i = 3; i < count; i += 2) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : "";

		if (strcmp(name, "--count") == 0)
			most = number_of(name, value, 1, 1e12);
		else if (strcmp(name, "--seconds") == 0)
			seconds = number_of(name, value, 0, SECONDS_MAX);
		else
			die("%s: unknown", name);
	}
	stop_on_signals();
	capture.file = fopen(words[2], "w");
	if (capture.file == NULL)
		die("%s: %s", words[2], strerror(errno));
	const int fd = receiving_socket(words[1]);

	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
		die("AF_PACKET on %s: %s", words[1], strerror(errno));
	fputs("ready\n", stderr);
	const uint64_t end_ns = now_ns() + (uint64_t)(seconds * NS_PER_SECOND);
	while (!stopped && now_ns() < end_ns && (double)capture.frames < most)
		record_one(fd, &capture);
	if (fclose(capture.file) != 0)
		die("%s: %s", words[2], strerror(errno));
	printf("{\"frames\":%llu,\"dropped\":%u}\n", (unsigned long long)capture.frames, dropped_at(fd));
	return 0;
}
