/* Loading, finding and attaching the XDP program. For the control thread only. */
#ifndef WEIR_PROGRAM_H
#define WEIR_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* What is attached to a device. */
struct attached {
	/* -1 if nothing is. */
	int fd;
	uint32_t id;
	/* WEIR_ATTACH_NATIVE or WEIR_ATTACH_SKB. */
	uint32_t mode;
	/* The name begins as those of weir's programs do. */
	int is_weirs;
	char name[16];
};

void program_find(uint32_t ifindex, struct attached *found);
void program_forget(struct attached *found);

/* Loads program and maps into the kernel: fills in the wire's descriptors. 0, or -1 and a line in `err`. */
int program_load(struct weir_wire *wire, const char *object_path, char *err, size_t err_bytes);

/*
 * Opens the maps of attached programs, if they are this very build's and connect the wire's two devices in the
 * wire's sense: 0. Otherwise -1, and nothing is open.
 */
int program_reopen(struct weir_wire *wire, const struct attached attached[WEIR_PORTS]);

void program_close(struct weir_wire *wire);

/*
 * Attaches to both ports in one mode, in place of older programs of weir's. 0; or -1, the reason in `why`, and what
 * was attached before attached again.
 */
int program_attach(const struct weir_wire *wire, uint32_t mode, const struct attached before[WEIR_PORTS], char *why,
		   size_t why_bytes, int *error);

void program_detach(const struct weir_wire *wire);

/* Keeps what libbpf has to say, instead of having it on stderr. */
void program_capture_messages(void);

#endif
