/* What the programs of this folder share: errors, arguments, clock, pinning, UDP headers. */
#ifndef PEER_H
#define PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull
/* Every run ends by itself, whatever was asked for. */
#define SECONDS_MAX 600
#define THREADS_MAX 64
/* Ethernet, IPv4 and UDP headers. */
#define HEADER_BYTES 42
#define FRAME_BYTES_MIN 60
#define FRAME_BYTES_MAX 1514

static volatile sig_atomic_t stopped;

static inline void on_signal(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Ends the run early and in order, so that no program stays attached to a device. */
static inline void stop_on_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static inline __attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/*
 * What the process and the interrupts handled on its account have taken of CPUs so far. On a busy machine packets
 * for a second of CPU tell more than packets for a second of the clock.
 */
static inline double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static inline void sleep_until_ns(uint64_t when_ns)
{
	struct timespec when = { .tv_sec = (time_t)(when_ns / NS_PER_SECOND),
				 .tv_nsec = (long)(when_ns % NS_PER_SECOND) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static inline double number_of(const char *name, const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= least && value <= most))
		die("%s: %s is not a number from %.0f to %.0f", name, text, least, most);
	return value;
}

/* An IPv4 address in host order. */
static inline uint32_t address_of(const char *name, const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		die("%s: %s is not an IPv4 address", name, text);
	return ntohl(address.s_addr);
}

static inline unsigned device_index(const char *name)
{
	unsigned index = if_nametoindex(name);

	if (index == 0)
		die("device %s: %s", name, strerror(errno));
	return index;
}

/* Reads `0,1,…` into cpus; returns how many. */
static inline unsigned cpu_list(const char *text, int *cpus)
{
	char copy[256];
	unsigned count = 0;

	snprintf(copy, sizeof copy, "%s", text);
	for (char *part = strtok(copy, ","); part != NULL; part = strtok(NULL, ",")) {
		if (count == THREADS_MAX)
			die("more than %d CPUs", THREADS_MAX);
		cpus[count++] = (int)number_of("CPU", part, 0, CPU_SETSIZE - 1);
	}
	if (count == 0)
		die("an empty list of CPUs");
	return count;
}

static inline void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		die("CPU %d: %s", cpu, strerror(errno));
}

/* The eBPF object lies beside the program. */
static inline const char *object_path(const char *name)
{
	/* Threads may ask at the same time. */
	static _Thread_local char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 64);

	if (length < 0)
		die("/proc/self/exe: %s", strerror(errno));
	while (length > 0 && path[length - 1] != '/')
		length--;
	snprintf(path + length, sizeof path - (size_t)length, "%s.bpf.o", name);
	return path;
}

static inline void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* Sum of 16-bit words in network order, folded to 16 bits and not inverted. */
static inline uint32_t sum16(const uint8_t *at, unsigned bytes)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < bytes; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of an IPv4 header without options. */
static inline void set_checksum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~sum16(ip, 20) & 0xffff);
}

/* Sets both addresses and the checksum of an IPv4 header that starts at ip. */
static inline void set_addresses(uint8_t *ip, uint32_t source, uint32_t destination)
{
	put32(ip + 12, source);
	put32(ip + 16, destination);
	set_checksum(ip);
}

/*
 * A UDP frame without addresses. The UDP checksum is 0 (none), so that addresses and payload may change. The
 * destination MAC address is nobody's: a network stack behind the last device drops the frame early.
 */
static inline void build_frame(uint8_t *frame, unsigned bytes, unsigned source_port, unsigned destination_port)
{
	static const uint8_t ethernet[14] = { 2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 0, 0xfd, 8, 0 };
	uint8_t *ip = frame + 14, *udp = ip + 20;

	memset(frame, 0, bytes);
	memcpy(frame, ethernet, sizeof ethernet);
	ip[0] = 0x45;
	put16(ip + 2, bytes - 14);
	ip[8] = 64;
	ip[9] = 17;
	put16(udp, source_port);
	put16(udp + 2, destination_port);
	put16(udp + 4, bytes - 34);
}

#endif
