/*
 * Loading, finding and attaching the XDP program.
 *
 * Programs are attached by netlink and not by a bpf link, and their maps are not pinned: an attached program stays
 * until somebody removes it, and keeps its maps alive. Another process finds both by their numbers in the kernel.
 */
#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <sys/syscall.h>

#include "io.h"
#include "xdp_layout.h"

#define MAPS_MAX 16
#define NAME_PREFIX "weir_"

/* A signal interrupts the verifier; libbpf begins again a few times only. */
#define LOAD_TRIES_MAX 20
#define LOAD_PAUSE_US 2000

static const char *const program_names[WEIR_PORTS] = {WEIR_PROGRAM_INSIDE, WEIR_PROGRAM_OUTSIDE};

/* The last thing that libbpf, or the kernel through it, complained about. One thread calls libbpf. */
static char last_message[256];

static int capture(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_WARN)
		return 0;
	char line[sizeof(last_message)];
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	/* Of several complaints the kernel's own is the one that helps. */
	const char *kernel = strstr(line, "Kernel error message: ");
	if (kernel)
		snprintf(last_message, sizeof(last_message), "%s", kernel + strlen("Kernel error message: "));
	else if (!last_message[0])
		snprintf(last_message, sizeof(last_message), "%s", line);
	return 0;
}

void program_capture_messages(void)
{
	libbpf_set_print(capture);
}

/* ---- what is attached ------------------------------------------------------------------------------------- */

void program_find(uint32_t ifindex, struct attached *found)
{
	*found = (struct attached){.fd = -1};
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	if (bpf_xdp_query((int)ifindex, 0, &query))
		return;
	found->mode = query.attach_mode == XDP_ATTACHED_SKB ? WEIR_ATTACH_SKB : WEIR_ATTACH_NATIVE;
	found->id = query.prog_id ? query.prog_id : query.drv_prog_id;
	if (found->id == 0)
		found->id = query.skb_prog_id;
	if (found->id == 0)
		return;
	found->fd = bpf_prog_get_fd_by_id(found->id);
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	if (found->fd < 0 || bpf_obj_get_info_by_fd(found->fd, &info, &bytes))
		return;
	memcpy(found->name, info.name, sizeof(found->name));
	found->is_weirs = strncmp(info.name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0;
}

void program_forget(struct attached *found)
{
	if (found->fd >= 0)
		close(found->fd);
	found->fd = -1;
}

/* ---- maps -------------------------------------------------------------------------------------------------- */

struct named_map {
	const char *name;
	int *fd;
};

#define NAMED_MAPS 6

static void name_maps(struct weir_wire *wire, struct named_map maps[NAMED_MAPS])
{
	maps[0] = (struct named_map){"weir_config", &wire->config_fd};
	maps[1] = (struct named_map){"weir_counts", &wire->counts_fd};
	maps[2] = (struct named_map){"weir_ports", &wire->ports_fd};
	maps[3] = (struct named_map){"weir_xsk_in", &wire->xsk_fd[WEIR_INSIDE]};
	maps[4] = (struct named_map){"weir_xsk_out", &wire->xsk_fd[WEIR_OUTSIDE]};
	maps[5] = (struct named_map){"weir_bypass", &wire->bypass_fd};
}

void program_close(struct weir_wire *wire)
{
	struct named_map maps[NAMED_MAPS];
	name_maps(wire, maps);
	for (int i = 0; i < NAMED_MAPS; i++) {
		if (*maps[i].fd >= 0)
			close(*maps[i].fd);
		*maps[i].fd = -1;
	}
	for (int port = 0; port < WEIR_PORTS; port++) {
		if (wire->program_fd[port] >= 0)
			close(wire->program_fd[port]);
		wire->program_fd[port] = -1;
	}
}

/* Which of the capabilities that loading takes this thread does not have, for an error's text. */
static void missing_capabilities(char *text, size_t bytes)
{
	static const struct {
		unsigned bit;
		const char *name;
	} needed[] = {{CAP_NET_ADMIN, "NET_ADMIN"}, {CAP_BPF, "BPF"}, {CAP_PERFMON, "PERFMON"}};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
	text[0] = 0;
	if (syscall(SYS_capget, &header, sets))
		return;
	/* The kernel takes SYS_ADMIN for BPF and PERFMON too. */
	int is_admin = (sets[0].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
	size_t used = 0;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && used < bytes; i++) {
		int has = (sets[CAP_TO_INDEX(needed[i].bit)].effective & CAP_TO_MASK(needed[i].bit)) != 0;
		if (!has && !(is_admin && needed[i].bit != CAP_NET_ADMIN))
			used += (size_t)snprintf(text + used, bytes - used, "%sCAP_%s", used ? ", " : "; missing: ",
						 needed[i].name);
	}
}

static int load_failure(int error, char *err, size_t err_bytes)
{
	char missing[96];
	missing_capabilities(missing, sizeof(missing));
	if (error == EPERM || error == EACCES)
		return weir_fail(err, err_bytes,
				 "E_PRIVILEGE: loading the XDP program takes root, or CAP_NET_ADMIN, CAP_BPF and "
				 "CAP_PERFMON%s", missing);
	return weir_fail(err, err_bytes, "E_XDP: the kernel does not load the XDP program: %s%s%s", strerror(error),
			 last_message[0] ? ": " : "", last_message);
}

/* Opens the file and loads what is in it. NULL and the error if that fails; an object can be loaded only once. */
static struct bpf_object *load_object(const char *object_path, int *error)
{
	for (int tries = 1;; tries++) {
		last_message[0] = 0;
		struct bpf_object *object = bpf_object__open_file(object_path, NULL);
		if (!object) {
			*error = errno;
			return NULL;
		}
		int failure = bpf_object__load(object);
		if (!failure)
			return object;
		bpf_object__close(object);
		*error = -failure;
		if ((failure != -EAGAIN && failure != -EINTR) || tries == LOAD_TRIES_MAX)
			return NULL;
		usleep(LOAD_PAUSE_US);
	}
}

int program_load(struct weir_wire *wire, const char *object_path, char *err, size_t err_bytes)
{
	if (access(object_path, R_OK))
		return weir_fail(err, err_bytes, "E_NATIVE: %s: %s; run native/setup", object_path, strerror(errno));
	int error = 0;
	struct bpf_object *object = load_object(object_path, &error);
	if (!object)
		return load_failure(error, err, err_bytes);
	struct named_map maps[NAMED_MAPS];
	name_maps(wire, maps);
	int missing = 0;
	/* The object closes its descriptors, so the wire keeps copies. */
	for (int i = 0; i < NAMED_MAPS; i++) {
		*maps[i].fd = dup(bpf_object__find_map_fd_by_name(object, maps[i].name));
		missing |= *maps[i].fd < 0;
	}
	for (int port = 0; port < WEIR_PORTS; port++) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, program_names[port]);
		wire->program_fd[port] = program ? dup(bpf_program__fd(program)) : -1;
		missing |= wire->program_fd[port] < 0;
	}
	bpf_object__close(object);
	if (missing) {
		program_close(wire);
		return weir_fail(err, err_bytes, "E_NATIVE: %s is not of this version; run native/setup", object_path);
	}
	return 0;
}

/* Opens those of a program's maps that have a name of weir's. 0, or -1 if one is missing. */
static int open_maps(struct weir_wire *wire, int program_fd)
{
	uint32_t ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)ids};
	uint32_t bytes = sizeof(info);
	if (bpf_obj_get_info_by_fd(program_fd, &info, &bytes) || info.nr_map_ids > MAPS_MAX)
		return -1;
	struct named_map maps[NAMED_MAPS];
	name_maps(wire, maps);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info map = {0};
		bytes = sizeof(map);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &bytes) == 0) {
			for (int known = 0; known < NAMED_MAPS; known++) {
				if (*maps[known].fd < 0 && strcmp(map.name, maps[known].name) == 0) {
					*maps[known].fd = fd;
					fd = -1;
				}
			}
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 ? info.id : 0;
}

/* The build of the program that the open config map belongs to; 0 if it is no such map. */
static uint32_t config_build(int config_fd)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	struct weir_config config;
	uint32_t key = 0;
	if (bpf_obj_get_info_by_fd(config_fd, &info, &bytes) || info.value_size != sizeof(config))
		return 0;
	return bpf_map_lookup_elem(config_fd, &key, &config) ? 0 : config.build;
}

/* Whether both programs share this wire's maps, and these connect its devices. */
static int is_same_wire(struct weir_wire *wire)
{
	struct weir_wire other;
	struct named_map ours[NAMED_MAPS], theirs[NAMED_MAPS];
	memset(&other, 0xff, sizeof(other));
	name_maps(wire, ours);
	name_maps(&other, theirs);
	/* The outside program uses all maps but the inside port's sockets, and the other way round. */
	int same = open_maps(wire, wire->program_fd[WEIR_INSIDE]) == 0 &&
		   open_maps(&other, wire->program_fd[WEIR_OUTSIDE]) == 0;
	for (int i = 0; same && i < NAMED_MAPS; i++) {
		if (*ours[i].fd < 0) {
			*ours[i].fd = *theirs[i].fd;
			*theirs[i].fd = -1;
		} else if (*theirs[i].fd >= 0) {
			same = map_id(*ours[i].fd) == map_id(*theirs[i].fd);
		}
		same = same && *ours[i].fd >= 0;
	}
	memset(other.program_fd, 0xff, sizeof(other.program_fd));
	program_close(&other);
	same = same && config_build(wire->config_fd) == WEIR_PROGRAM_BUILD;
	for (uint32_t port = 0; same && port < WEIR_PORTS; port++) {
		uint32_t ifindex = 0;
		same = bpf_map_lookup_elem(wire->ports_fd, &port, &ifindex) == 0 && ifindex == wire->ifindex[port];
	}
	return same;
}

int program_reopen(struct weir_wire *wire, const struct attached attached[WEIR_PORTS])
{
	for (int port = 0; port < WEIR_PORTS; port++) {
		if (attached[port].fd < 0 || strcmp(attached[port].name, program_names[port]) != 0 ||
		    attached[port].mode != attached[WEIR_INSIDE].mode) {
			program_close(wire);
			return -1;
		}
		wire->program_fd[port] = dup(attached[port].fd);
	}
	if (is_same_wire(wire))
		return 0;
	program_close(wire);
	return -1;
}

/* ---- attaching ---------------------------------------------------------------------------------------------- */

static uint32_t mode_flag(uint32_t mode)
{
	return mode == WEIR_ATTACH_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static int detach_one(uint32_t ifindex, int program_fd, uint32_t mode)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, expected, .old_prog_fd = program_fd);
	return bpf_xdp_detach((int)ifindex, mode_flag(mode) | XDP_FLAGS_REPLACE, &expected);
}

/* Puts a program in the place of another, or of none. In the same mode no frame meets a device without one. */
static int attach_one(uint32_t ifindex, int program_fd, uint32_t mode, const struct attached *before)
{
	uint32_t flags = mode_flag(mode);
	if (before->fd < 0)
		return bpf_xdp_attach((int)ifindex, program_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (before->mode == mode) {
		LIBBPF_OPTS(bpf_xdp_attach_opts, expected, .old_prog_fd = before->fd);
		return bpf_xdp_attach((int)ifindex, program_fd, flags | XDP_FLAGS_REPLACE, &expected);
	}
	int failure = detach_one(ifindex, before->fd, before->mode);
	if (failure)
		return failure;
	failure = bpf_xdp_attach((int)ifindex, program_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (failure)
		bpf_xdp_attach((int)ifindex, before->fd, mode_flag(before->mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	return failure;
}

static void undo_one(const struct weir_wire *wire, int port, uint32_t mode, const struct attached *before)
{
	struct attached ours = {.fd = wire->program_fd[port], .mode = mode};
	if (before->fd < 0)
		detach_one(wire->ifindex[port], ours.fd, mode);
	else
		attach_one(wire->ifindex[port], before->fd, before->mode, &ours);
}

static void undo(const struct weir_wire *wire, int ports, uint32_t mode, const struct attached before[WEIR_PORTS])
{
	for (int port = 0; port < ports; port++)
		undo_one(wire, port, mode, &before[port]);
}

int program_attach(const struct weir_wire *wire, uint32_t mode, const struct attached before[WEIR_PORTS], char *why,
		   size_t why_bytes, int *error)
{
	for (int port = 0; port < WEIR_PORTS; port++) {
		last_message[0] = 0;
		int failure = attach_one(wire->ifindex[port], wire->program_fd[port], mode, &before[port]);
		if (failure) {
			*error = -failure;
			undo(wire, port, mode, before);
			return weir_fail(why, why_bytes, "%s: %s%s%s", wire->device[port], strerror(-failure),
					 last_message[0] ? ": " : "", last_message);
		}
	}
	return 0;
}

void program_detach(const struct weir_wire *wire)
{
	for (int port = 0; port < WEIR_PORTS; port++)
		detach_one(wire->ifindex[port], wire->program_fd[port], wire->mode);
}
