/*
 * The kernel's path between two devices, for as long as the program runs: what comes in at INGRESS goes out through
 * EGRESS and its queueing discipline, and the other way round without a class.
 *
 *   steer INGRESS EGRESS SECONDS [--by priority|filter] [--classes FILE] [--major N] [--queues N] [--source] [--routed]
 *
 * FILE has lines `ADDRESS MINOR`, the address of a subscriber and the decimal minor number of its class below an htb
 * with the handle MAJOR (1 unless given). `--by priority` puts the class into skb->priority where the frame comes in;
 * `--by filter` asks a filter of the htb. With --queues N each of the N queues has an htb of its own, MAJOR and the
 * numbers after it, and a frame takes the queue of the CPU that it came on. With --routed the kernel's routing brings
 * frames from one device to the other, and only classes and queues are chosen. Writes `ready` to stderr; all that it has
 * attached is gone when it ends.
 */
#include "peer.h"
#include "steer.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#define QUEUES_MAX 64
#define FILTER_PRIORITY 1

struct options {
	const char *devices[2];
	const char *classes;
	double seconds;
	bool by_filter;
	struct steer_plan plan;
};

struct filter_request {
	struct nlmsghdr header;
	struct tcmsg message;
	char attributes[256];
};

static struct bpf_tc_hook hooks[2];
static unsigned hook_count;
static int xdp_ifindex, netlink_fd = -1;
static struct options options;
static unsigned filter_count;

static void parse(int count, char **words)
{
	options = (struct options){ .plan = { .major = 1, .queues = 1 } };
	if (count < 4)
		die("usage: steer INGRESS EGRESS SECONDS [--by priority|filter] [--classes FILE] [--major N] [--queues N] "
		    "[--source] [--routed]");
	options.devices[0] = words[1];
	options.devices[1] = words[2];
	options.seconds = number_of("SECONDS", words[3], 0, SECONDS_MAX);
	for (int i = 4; i < count; i++) {
		const char *name = words[i];

		if (strcmp(name, "--source") == 0) {
			options.plan.source = 1;
			continue;
		}
		if (strcmp(name, "--routed") == 0) {
			options.plan.routed = 1;
			continue;
		}
		if (i + 1 == count)
			die("%s: value missing or option unknown", name);
		const char *value = words[++i];
		if (strcmp(name, "--classes") == 0)
			options.classes = value;
		else if (strcmp(name, "--major") == 0)
			options.plan.major = (uint32_t)number_of(name, value, 1, 0x7fff);
		else if (strcmp(name, "--queues") == 0)
			options.plan.queues = (uint32_t)number_of(name, value, 1, QUEUES_MAX);
		else if (strcmp(name, "--by") == 0 && strcmp(value, "priority") == 0)
			options.plan.by_priority = 1;
		else if (strcmp(name, "--by") == 0 && strcmp(value, "filter") == 0)
			options.by_filter = true;
		else
			die("%s %s: unknown", name, value);
	}
	if ((options.by_filter || options.plan.by_priority) && options.classes == NULL)
		die("--by needs --classes");
	options.plan.ifindex = device_index(options.devices[1]);
	options.plan.back_ifindex = device_index(options.devices[0]);
}

static void fill_minors(int map)
{
	FILE *file = fopen(options.classes, "r");
	char text[INET_ADDRSTRLEN];
	uint32_t minor;

	if (file == NULL)
		die("%s: %s", options.classes, strerror(errno));
	while (fscanf(file, "%15s %u", text, &minor) == 2) {
		uint32_t address = htonl(address_of(options.classes, text));

		if (minor == 0 || minor > 0xffff)
			die("%s: %u is not a minor number", options.classes, minor);
		if (bpf_map_update_elem(map, &address, &minor, 0) != 0)
			die("%s: %s", text, strerror(errno));
	}
	if (!feof(file))
		die("%s: a line that is not ADDRESS MINOR", options.classes);
	fclose(file);
}

/* ---- the htb's filter ----------------------------------------------------------------------------------- */

static void add_attribute(struct filter_request *request, unsigned type, const void *data, unsigned bytes)
{
	struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = (unsigned short)type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
	if (bytes > 0)
		memcpy(RTA_DATA(attribute), data, bytes);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/*
 * libbpf attaches a filter as an action, whose class number has no major part; only a plain filter returns a whole one.
 * Returns 0 or an errno.
 */
static int change_filter(unsigned type, unsigned flags, uint32_t major, int program)
{
	struct filter_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.message), .nlmsg_type = (unsigned short)type,
			    .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags) },
		.message = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)options.plan.ifindex, .tcm_parent = major << 16,
			     .tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL)) },
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;

	add_attribute(&request, TCA_KIND, "bpf", 4);
	if (program >= 0) {
		struct rtattr *nest = (void *)((char *)&request + NLMSG_ALIGN(request.header.nlmsg_len));

		add_attribute(&request, TCA_OPTIONS, NULL, 0);
		add_attribute(&request, TCA_BPF_FD, &program, sizeof program);
		add_attribute(&request, TCA_BPF_NAME, "steer", 6);
		nest->rta_len = (unsigned short)((char *)&request + request.header.nlmsg_len - (char *)nest);
	}
	if (send(netlink_fd, &request, request.header.nlmsg_len, 0) < 0 || recv(netlink_fd, &answer, sizeof answer, 0) < 0)
		return errno;
	return -answer.error.error;
}

static void add_filters(int program)
{
	for (; filter_count < options.plan.queues; filter_count++) {
		const uint32_t major = options.plan.major + filter_count;
		const int error = change_filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, major, program);

		if (error != 0)
			die("filter of %x: on %s: %s", major, options.devices[1], strerror(error));
	}
}

/* ---- both ways ------------------------------------------------------------------------------------------ */

/* Also when the run fails: what is attached would outlive it. */
static void detach_all(void)
{
	while (filter_count > 0)
		(void)change_filter(RTM_DELTFILTER, 0, options.plan.major + --filter_count, -1);
	if (xdp_ifindex > 0)
		bpf_xdp_detach(xdp_ifindex, XDP_FLAGS_DRV_MODE, NULL);
	while (hook_count > 0) {
		struct bpf_tc_hook *hook = &hooks[--hook_count];

		/* Both points named: the clsact goes, and all that hangs on it. */
		hook->attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(hook);
	}
}

static int program_of(struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

static void attach(unsigned ifindex, enum bpf_tc_attach_point point, int program, const char *device)
{
	struct bpf_tc_hook *hook = &hooks[hook_count];
	LIBBPF_OPTS(bpf_tc_opts, attach, .prog_fd = program, .handle = 1, .priority = 1);

	*hook = (struct bpf_tc_hook){ .sz = sizeof *hook, .ifindex = (int)ifindex, .attach_point = point };
	int error = bpf_tc_hook_create(hook);
	if (error != 0)
		die("clsact on %s: %s", device, strerror(-error));
	hook_count++;
	error = bpf_tc_attach(hook, &attach);
	if (error != 0)
		die("program on %s: %s", device, strerror(-error));
}

int main(int count, char **words)
{
	parse(count, words);
	stop_on_signals();
	const uint64_t end_ns = now_ns() + (uint64_t)(options.seconds * NS_PER_SECOND);
	struct bpf_object *object = bpf_object__open_file(object_path("steer"), NULL);
	if (object == NULL)
		die("%s: %s", object_path("steer"), strerror(errno));
	if (bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"), &options.plan,
				       sizeof options.plan) != 0)
		die("steer.bpf.o: constants of another size");
	if (bpf_object__load(object) != 0)
		die("steer.bpf.o: %s", strerror(errno));
	if (options.classes != NULL)
		fill_minors(bpf_object__find_map_fd_by_name(object, "minors"));
	netlink_fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (netlink_fd < 0)
		die("rtnetlink: %s", strerror(errno));
	atexit(detach_all);
	if (options.by_filter)
		add_filters(program_of(object, "classify"));
	if (options.plan.routed) {
		attach(options.plan.ifindex, BPF_TC_EGRESS, program_of(object, "forward"), options.devices[1]);
	} else {
		attach(options.plan.ifindex, BPF_TC_INGRESS, program_of(object, "back"), options.devices[1]);
		attach(options.plan.back_ifindex, BPF_TC_INGRESS, program_of(object, "forward"), options.devices[0]);
	}
	int error = bpf_xdp_attach((int)options.plan.back_ifindex, program_of(object, "pass"),
				   XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (error != 0)
		die("XDP on %s: %s", options.devices[0], strerror(-error));
	xdp_ifindex = (int)options.plan.back_ifindex;
	fputs("ready\n", stderr);
	while (!stopped && now_ns() < end_ns)
		sleep_until_ns(end_ns);
	return 0;
}
