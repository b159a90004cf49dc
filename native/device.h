/* What has to be asked of network devices before they can be ports. */
#ifndef WEIR_DEVICE_H
#define WEIR_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/* Index of an existing device that is up and has `queues` receive and transmit queues; else 0 and a line in `err`. */
uint32_t weir_device_check(const char *device, uint32_t queues, char *err, size_t err_bytes);

/*
 * Switches promiscuous mode, without which a card drops the frames of everybody else. 1 if that changed anything,
 * 0 if not, or -errno. Unlike a packet socket's membership this outlives the process, as the program does.
 */
int weir_device_promiscuous(const char *device, int on);

/* 1 if other programs can redirect frames to the device in native mode, 0 if not, -1 if the kernel does not tell. */
int weir_device_takes_redirects(uint32_t ifindex);

/*
 * Claims the device for this process: 0 and a descriptor to hold, or -EADDRINUSE if another process in this network
 * namespace holds it. The claim ends with the process.
 */
int weir_device_claim(uint32_t ifindex, int *claim_fd);

#endif
