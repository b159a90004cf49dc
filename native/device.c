/* What has to be asked of network devices before they can be ports. */
#define _GNU_SOURCE
#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "io.h"

static int device_ioctl(const char *device, unsigned long request, struct ifreq *asked)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	strncpy(asked->ifr_name, device, IF_NAMESIZE - 1);
	int failure = ioctl(fd, request, asked) ? -errno : 0;
	close(fd);
	return failure;
}

static int device_flags(const char *device)
{
	struct ifreq asked = {0};
	int failure = device_ioctl(device, SIOCGIFFLAGS, &asked);
	return failure ? failure : (int)(unsigned short)asked.ifr_flags;
}

/*
 * Queue pairs, or 0 if the driver does not tell. Cards count pairs as `combined`, or both directions apart. A real
 * device's channels say how many queues are in use; the kernel's list of queues may be longer.
 */
static uint32_t device_queues(const char *device)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq asked = {0};
	asked.ifr_data = (char *)&channels;
	if (device_ioctl(device, SIOCETHTOOL, &asked))
		return 0;
	uint32_t apart = channels.rx_count < channels.tx_count ? channels.rx_count : channels.tx_count;
	return channels.combined_count + apart;
}

uint32_t weir_device_check(const char *device, uint32_t queues, char *err, size_t err_bytes)
{
	uint32_t ifindex = if_nametoindex(device);
	if (ifindex == 0) {
		weir_fail(err, err_bytes, "E_DEVICE: %s: there is no such device", device);
		return 0;
	}
	int flags = device_flags(device);
	if (flags >= 0 && !(flags & IFF_UP)) {
		weir_fail(err, err_bytes, "E_DEVICE: %s is down; ip link set %s up", device, device);
		return 0;
	}
	/* What cannot tell its queues has one. */
	uint32_t found = device_queues(device);
	if (found == 0)
		found = 1;
	if (found < queues) {
		weir_fail(err, err_bytes, "E_QUEUES: %s has %u queue%s, %u wanted; ethtool -l %s says how many it may have",
			  device, found, found == 1 ? "" : "s", queues, device);
		return 0;
	}
	return ifindex;
}

int weir_device_promiscuous(const char *device, int on)
{
	int flags = device_flags(device);
	if (flags < 0)
		return flags;
	int wanted = on ? flags | IFF_PROMISC : flags & ~IFF_PROMISC;
	if (wanted == flags)
		return 0;
	struct ifreq asked = {0};
	asked.ifr_flags = (short)wanted;
	int failure = device_ioctl(device, SIOCSIFFLAGS, &asked);
	return failure ? failure : 1;
}

int weir_device_claim(uint32_t ifindex, int *claim_fd)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	/* A name that begins with a zero byte lives in the network namespace and not in the file system. */
	int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "weir/port/%u", ifindex);
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name, bytes)) {
		int failure = -errno;
		close(fd);
		return failure;
	}
	*claim_fd = fd;
	return 0;
}

/* ---- the netdev family of generic netlink ------------------------------------------------------------------ */

/* From linux/netdev.h, which kernels before 6.3 and their headers do not have. */
#define NETDEV_FAMILY "netdev"
#define NETDEV_DEV_GET 1
#define NETDEV_ATTR_IFINDEX 1
#define NETDEV_ATTR_XDP_FEATURES 3
#define NETDEV_XDP_NDO_XMIT 4ull

struct request {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	uint8_t attributes[64];
};

/* Sends a request with one attribute and finds one attribute in the answer. 0, or -errno. */
static int ask(int fd, struct request *request, uint16_t attribute, const void *value, size_t bytes, uint16_t wanted,
	       void *answer, size_t answer_bytes)
{
	struct nlattr *sent = (struct nlattr *)(void *)request->attributes;
	sent->nla_type = attribute;
	sent->nla_len = (uint16_t)(NLA_HDRLEN + bytes);
	memcpy((uint8_t *)sent + NLA_HDRLEN, value, bytes);
	request->header.nlmsg_len = (uint32_t)(NLMSG_LENGTH(GENL_HDRLEN) + NLA_ALIGN(sent->nla_len));
	request->header.nlmsg_flags = NLM_F_REQUEST;
	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	uint8_t buffer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t received = recv(fd, buffer, sizeof(buffer), 0);
	if (received < 0)
		return -errno;
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)buffer;
	if (!NLMSG_OK(header, (size_t)received))
		return -EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
	size_t at = NLMSG_LENGTH(GENL_HDRLEN);
	while (at + NLA_HDRLEN <= header->nlmsg_len) {
		struct nlattr *found = (struct nlattr *)(void *)(buffer + at);
		if (found->nla_len < NLA_HDRLEN || at + found->nla_len > header->nlmsg_len)
			return -EPROTO;
		if ((found->nla_type & NLA_TYPE_MASK) == wanted && found->nla_len >= NLA_HDRLEN + answer_bytes) {
			memcpy(answer, (uint8_t *)found + NLA_HDRLEN, answer_bytes);
			return 0;
		}
		at += NLA_ALIGN(found->nla_len);
	}
	return -ENOENT;
}

int weir_device_takes_redirects(uint32_t ifindex)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0)
		return -1;
	uint16_t family = 0;
	struct request request = {.header = {.nlmsg_type = GENL_ID_CTRL},
				  .generic = {.cmd = CTRL_CMD_GETFAMILY, .version = 1}};
	int failure = ask(fd, &request, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY, sizeof(NETDEV_FAMILY),
			  CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
	uint64_t features = 0;
	if (!failure) {
		request.header.nlmsg_type = family;
		request.generic.cmd = NETDEV_DEV_GET;
		failure = ask(fd, &request, NETDEV_ATTR_IFINDEX, &ifindex, sizeof(ifindex), NETDEV_ATTR_XDP_FEATURES,
			      &features, sizeof(features));
	}
	close(fd);
	if (failure)
		return -1;
	return (features & NETDEV_XDP_NDO_XMIT) != 0;
}
