/* The two ports as one wire: opening, taking over, bypass, counters, release. For the control thread. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "device.h"
#include "io.h"
#include "program.h"
#include "xdp_layout.h"

/* ---- configuration map ---------------------------------------------------------------------------------------- */

static int read_config(const struct weir_wire *wire, struct weir_config *config)
{
	uint32_t key = 0;
	return bpf_map_lookup_elem(wire->config_fd, &key, config);
}

static int write_config(const struct weir_wire *wire, const struct weir_config *config)
{
	uint32_t key = 0;
	return bpf_map_update_elem(wire->config_fd, &key, config, BPF_ANY);
}

int weir_wire_set_frame_bytes_max(struct weir_wire *wire, uint32_t bytes)
{
	struct weir_config config;
	pthread_mutex_lock(&wire->config_lock);
	int failure = read_config(wire, &config);
	config.frame_bytes_max = bytes;
	if (!failure)
		failure = write_config(wire, &config);
	pthread_mutex_unlock(&wire->config_lock);
	return failure;
}

static int set_bypass_prefixes(struct weir_wire *wire, uint32_t count)
{
	struct weir_config config;
	pthread_mutex_lock(&wire->config_lock);
	int failure = read_config(wire, &config);
	config.bypass_prefixes = count;
	if (!failure)
		failure = write_config(wire, &config);
	pthread_mutex_unlock(&wire->config_lock);
	return failure;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int open_ports(struct weir_wire *wire, const char *const names[WEIR_PORTS], uint32_t queues, char *err,
		      size_t err_bytes)
{
	if (queues == 0 || queues > WEIR_QUEUES_MAX)
		return weir_fail(err, err_bytes, "E_QUEUES: %u queues: must be 1 to %u", queues, WEIR_QUEUES_MAX);
	for (int port = 0; port < WEIR_PORTS; port++) {
		snprintf(wire->device[port], IF_NAMESIZE, "%s", names[port]);
		wire->ifindex[port] = weir_device_check(names[port], queues, err, err_bytes);
		if (wire->ifindex[port] == 0)
			return -1;
	}
	if (wire->ifindex[WEIR_INSIDE] == wire->ifindex[WEIR_OUTSIDE])
		return weir_fail(err, err_bytes, "E_DEVICE: %s cannot be both ports", names[WEIR_INSIDE]);
	for (int port = 0; port < WEIR_PORTS; port++) {
		int failure = weir_device_claim(wire->ifindex[port], &wire->claim_fd[port]);
		if (failure)
			return weir_fail(err, err_bytes, "E_BUSY: another weir has %s: %s", names[port], strerror(-failure));
	}
	return 0;
}

static int refuse_strangers(const struct weir_wire *wire, const struct attached attached[WEIR_PORTS], char *err,
			    size_t err_bytes)
{
	for (int port = 0; port < WEIR_PORTS; port++) {
		if (attached[port].id == 0 || attached[port].is_weirs)
			continue;
		if (attached[port].fd < 0)
			return weir_fail(err, err_bytes,
					 "E_PRIVILEGE: %s has an XDP program, number %u, and only root, or who has "
					 "CAP_SYS_ADMIN, may see whose and take over weir's own; to remove it: "
					 "ip link set dev %s xdp off",
					 wire->device[port], attached[port].id, wire->device[port]);
		return weir_fail(err, err_bytes,
				 "E_BUSY: %s has the XDP program %s, number %u; to remove it: ip link set dev %s xdp off",
				 wire->device[port], attached[port].name, attached[port].id, wire->device[port]);
	}
	return 0;
}

static int write_ports(const struct weir_wire *wire)
{
	for (uint32_t port = 0; port < WEIR_PORTS; port++) {
		int failure = bpf_map_update_elem(wire->ports_fd, &port, &wire->ifindex[port], BPF_ANY);
		if (failure)
			return failure;
	}
	return 0;
}

/* Attaches in native mode where frames can then also cross in the kernel. 0, or -1 and the reason in `why`. */
static int attach_native(struct weir_wire *wire, const struct attached before[WEIR_PORTS], char *why, size_t why_bytes,
			 int *error)
{
	if (program_attach(wire, WEIR_ATTACH_NATIVE, before, why, why_bytes, error))
		return -1;
	for (int port = 0; port < WEIR_PORTS; port++) {
		if (weir_device_takes_redirects(wire->ifindex[port]) != 0)
			continue;
		wire->mode = WEIR_ATTACH_NATIVE;
		program_detach(wire);
		*error = EOPNOTSUPP;
		return weir_fail(why, why_bytes,
				 "%s does not take frames that cross in the kernel (a veth does after: ethtool -K PEER "
				 "gro off; ethtool -K PEER gro on)", wire->device[port]);
	}
	wire->mode = WEIR_ATTACH_NATIVE;
	return 0;
}

static int attach_fresh(struct weir_wire *wire, uint32_t mode, const struct attached before[WEIR_PORTS], char *err,
			size_t err_bytes)
{
	char why[sizeof(wire->note)] = "";
	int error = 0;
	if (mode != WEIR_ATTACH_SKB) {
		if (attach_native(wire, before, why, sizeof(why), &error) == 0)
			return 0;
		snprintf(wire->note, sizeof(wire->note), "%s", why);
	}
	if (mode != WEIR_ATTACH_NATIVE && error != EPERM) {
		wire->mode = WEIR_ATTACH_SKB;
		if (program_attach(wire, WEIR_ATTACH_SKB, before, why, sizeof(why), &error) == 0)
			return 0;
	}
	const char *code = error == EPERM ? "E_PRIVILEGE" : error == EBUSY || error == EEXIST ? "E_BUSY" : "E_XDP";
	return weir_fail(err, err_bytes, "%s: XDP cannot be attached to %s", code, why);
}

static int open_fresh(struct weir_wire *wire, uint32_t mode, uint32_t failure_open, const char *object_path,
		      const struct attached before[WEIR_PORTS], char *err, size_t err_bytes)
{
	if (program_load(wire, object_path, err, err_bytes))
		return -1;
	struct weir_config config = {.build = WEIR_PROGRAM_BUILD, .failure_open = failure_open != 0};
	int failure = write_config(wire, &config);
	if (!failure)
		failure = write_ports(wire);
	if (failure)
		return weir_fail(err, err_bytes, "E_XDP: the program's maps: %s", strerror(-failure));
	return attach_fresh(wire, mode, before, err, err_bytes);
}

static int take_over(struct weir_wire *wire, uint32_t mode, uint32_t failure_open,
		     const struct attached attached[WEIR_PORTS])
{
	if (mode != WEIR_ATTACH_AUTO && mode != attached[WEIR_INSIDE].mode)
		return -1;
	if (program_reopen(wire, attached))
		return -1;
	struct weir_config config;
	if (read_config(wire, &config)) {
		program_close(wire);
		return -1;
	}
	config.failure_open = failure_open != 0;
	write_config(wire, &config);
	wire->mode = attached[WEIR_INSIDE].mode;
	wire->took_over = 1;
	if (mode == WEIR_ATTACH_AUTO && wire->mode == WEIR_ATTACH_SKB)
		snprintf(wire->note, sizeof(wire->note), "an earlier process attached in skb mode and was taken over");
	return 0;
}

static int set_promiscuous(struct weir_wire *wire, char *err, size_t err_bytes)
{
	struct weir_config config;
	int failure = read_config(wire, &config);
	for (int port = 0; !failure && port < WEIR_PORTS; port++) {
		int changed = weir_device_promiscuous(wire->device[port], 1);
		if (changed < 0)
			return weir_fail(err, err_bytes, "%s: %s does not become promiscuous: %s",
					 changed == -EPERM ? "E_PRIVILEGE" : "E_DEVICE", wire->device[port],
					 strerror(-changed));
		if (changed)
			config.promiscuous_ports |= 1u << port;
	}
	if (!failure)
		failure = write_config(wire, &config);
	return failure ? weir_fail(err, err_bytes, "E_XDP: the program's maps: %s", strerror(-failure)) : 0;
}

static int open_wire(struct weir_wire *wire, uint32_t mode, uint32_t failure_open, const char *object_path, char *err,
		     size_t err_bytes)
{
	struct attached attached[WEIR_PORTS];
	for (int port = 0; port < WEIR_PORTS; port++)
		program_find(wire->ifindex[port], &attached[port]);
	int failure = refuse_strangers(wire, attached, err, err_bytes);
	if (!failure && take_over(wire, mode, failure_open, attached))
		failure = open_fresh(wire, mode, failure_open, object_path, attached, err, err_bytes);
	for (int port = 0; port < WEIR_PORTS; port++)
		program_forget(&attached[port]);
	if (failure)
		return -1;
	if (set_promiscuous(wire, err, err_bytes) == 0)
		return 0;
	if (!wire->took_over)
		program_detach(wire);
	return -1;
}

static void free_wire(struct weir_wire *wire)
{
	program_close(wire);
	for (int port = 0; port < WEIR_PORTS; port++)
		if (wire->claim_fd[port] >= 0)
			close(wire->claim_fd[port]);
	free(wire);
}

void *weir_wire_open(const char *inside, const char *outside, uint32_t queues, uint32_t mode, uint32_t failure_open,
		     const char *object_path, char *err, uint32_t err_bytes)
{
	const char *const names[WEIR_PORTS] = {inside, outside};
	struct weir_wire *wire = calloc(1, sizeof(*wire));
	if (!wire) {
		weir_fail(err, err_bytes, "E_MEMORY: no memory for the wire");
		return NULL;
	}
	wire->config_fd = wire->counts_fd = wire->ports_fd = wire->bypass_fd = -1;
	for (int port = 0; port < WEIR_PORTS; port++)
		wire->claim_fd[port] = wire->program_fd[port] = wire->xsk_fd[port] = -1;
	pthread_mutex_init(&wire->config_lock, NULL);
	program_capture_messages();
	if (open_ports(wire, names, queues, err, err_bytes) ||
	    open_wire(wire, mode, failure_open, object_path, err, err_bytes)) {
		free_wire(wire);
		return NULL;
	}
	return wire;
}

void weir_wire_info(void *handle, uint32_t *out, char *note, uint32_t note_bytes)
{
	struct weir_wire *wire = handle;
	out[0] = wire->mode;
	out[1] = wire->took_over;
	snprintf(note, note_bytes, "%s", wire->note);
}

void weir_wire_close(void *handle, uint32_t detach)
{
	struct weir_wire *wire = handle;
	struct weir_config config;
	if (detach) {
		if (read_config(wire, &config) == 0)
			for (int port = 0; port < WEIR_PORTS; port++)
				if (config.promiscuous_ports & (1u << port))
					weir_device_promiscuous(wire->device[port], 0);
		program_detach(wire);
	}
	free_wire(wire);
}

/* ---- bypass ------------------------------------------------------------------------------------------------------- */

/* Deletes the entries whose value is not `generation`. 0, or -errno. */
static int delete_older(int fd, uint32_t generation)
{
	struct weir_bypass_key *stale = calloc(WEIR_BYPASS_MAX, sizeof(*stale));
	struct weir_bypass_key key;
	uint32_t count = 0;
	if (!stale)
		return -ENOMEM;
	/* Deleting on the way would lead the walk astray, so the keys are noted first. */
	for (int more = bpf_map_get_next_key(fd, NULL, &key); more == 0 && count < WEIR_BYPASS_MAX;
	     more = bpf_map_get_next_key(fd, &key, &key)) {
		uint32_t value;
		if (bpf_map_lookup_elem(fd, &key, &value) == 0 && value != generation)
			stale[count++] = key;
	}
	int failure = 0;
	for (uint32_t i = 0; i < count && !failure; i++)
		failure = bpf_map_delete_elem(fd, &stale[i]);
	free(stale);
	return failure;
}

int weir_wire_set_bypass(void *handle, const uint8_t *prefixes, uint32_t count, char *err, uint32_t err_bytes)
{
	struct weir_wire *wire = handle;
	int failure = 0;
	/* Entries of this call are told from older ones by the time. */
	uint32_t generation = (uint32_t)weir_now_ns();
	if (count > WEIR_BYPASS_MAX / 2)
		return weir_fail(err, err_bytes, "E_BYPASS: %u bypass prefixes, at most %u", count, WEIR_BYPASS_MAX / 2);
	/* New prefixes come before old ones go, so what stays in the set bypasses all the time. */
	for (uint32_t i = 0; i < count && !failure; i++) {
		struct weir_bypass_key key;
		memcpy(&key, prefixes + (size_t)i * sizeof(key), sizeof(key));
		failure = bpf_map_update_elem(wire->bypass_fd, &key, &generation, BPF_ANY);
	}
	if (!failure)
		failure = set_bypass_prefixes(wire, count);
	if (!failure)
		failure = delete_older(wire->bypass_fd, generation);
	return failure ? weir_fail(err, err_bytes, "E_BYPASS: bypass prefixes: %s", strerror(-failure)) : 0;
}

/* ---- counters and release ------------------------------------------------------------------------------------------ */

int weir_wire_counters(void *handle, uint32_t port, uint64_t *out, uint32_t count)
{
	struct weir_wire *wire = handle;
	int cpus = libbpf_num_possible_cpus();
	if (port >= WEIR_PORTS || cpus <= 0)
		return -EINVAL;
	struct weir_counts *counts = calloc((size_t)cpus, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	int failure = bpf_map_lookup_elem(wire->counts_fd, &port, counts);
	for (uint32_t i = 0; !failure && i < count; i++) {
		out[i] = 0;
		for (int cpu = 0; i < WEIR_COUNTERS && cpu < cpus; cpu++)
			out[i] += counts[cpu].frames[i];
	}
	free(counts);
	return failure;
}

int weir_wire_release_queue(void *handle, uint32_t queue)
{
	struct weir_wire *wire = handle;
	int failure = 0;
	for (int port = 0; port < WEIR_PORTS; port++) {
		int result = bpf_map_delete_elem(wire->xsk_fd[port], &queue);
		/* Nothing to take out is fine: the kernel does it itself when a socket is closed. */
		if (result && result != -ENOENT && result != -EINVAL)
			failure = result;
	}
	return failure;
}
