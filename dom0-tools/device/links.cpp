// SPDX-License-Identifier: GPL-2.0-only
#include "device/links.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <array>
#include <cstring>

namespace streak::device {

namespace {

using Buffer = std::array<char, 16384>; // a link's description with all its statistics

std::unexpected<base::Error> failed(std::string what) { return base::errno_error(std::move(what), errno); }

/// A request about one interface.
struct Request {
    Request(Buffer& buffer, std::uint16_t type, std::uint32_t sequence, std::uint32_t index = 0) {
        header = mnl_nlmsg_put_header(buffer.data());
        header->nlmsg_type = type;
        header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
        header->nlmsg_seq = sequence;
        info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
        info->ifi_family = AF_UNSPEC;
        info->ifi_index = static_cast<int>(index);
    }
    nlmsghdr* header;
    ifinfomsg* info;
};

int read_kind(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        static_cast<Link*>(data)->is_bridge = std::strcmp(mnl_attr_get_str(attribute), "bridge") == 0;
    return MNL_CB_OK;
}

int read_attribute(const nlattr* attribute, void* data) {
    auto& link = *static_cast<Link*>(data);
    if (mnl_attr_get_type(attribute) == IFLA_MTU) link.mtu = mnl_attr_get_u32(attribute);
    if (mnl_attr_get_type(attribute) == IFLA_LINKINFO) mnl_attr_parse_nested(attribute, read_kind, data);
    return MNL_CB_OK;
}

int read_link(const nlmsghdr* message, void* data) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    static_cast<Link*>(data)->index = static_cast<std::uint32_t>(info->ifi_index);
    return mnl_attr_parse(message, sizeof(*info), read_attribute, data);
}

/// Sends a request and reads until it is acknowledged. -1: errno says why.
int exchange(mnl_socket* socket, const nlmsghdr* request, Link* answer) {
    if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) return -1;
    Buffer buffer;
    const unsigned port = mnl_socket_get_portid(socket);
    while (true) {
        const ssize_t bytes = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
        if (bytes < 0) return -1;
        const int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), request->nlmsg_seq, port,
                                    answer != nullptr ? read_link : nullptr, answer);
        if (more <= MNL_CB_STOP) return more;
    }
}

} // namespace

void Links::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

base::Outcome<Links> Links::open(bool notices) {
    Links links;
    links.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!links.socket_) return failed("can't open a netlink socket");
    if (mnl_socket_bind(links.socket_.get(), notices ? RTMGRP_LINK : 0, MNL_SOCKET_AUTOPID) < 0)
        return failed("can't bind a netlink socket");
    return links;
}

base::Outcome<std::optional<Link>> Links::find(const std::string& name) {
    Buffer buffer;
    const Request request(buffer, RTM_GETLINK, ++sequence_);
    mnl_attr_put_strz(request.header, IFLA_IFNAME, name.c_str());
    Link link;
    if (exchange(socket_.get(), request.header, &link) >= 0) return link;
    if (errno == static_cast<int>(Errno::ENODEV)) return std::nullopt;
    return failed("can't look up the interface " + name);
}

base::Outcome<> Links::set(std::uint32_t index, const Settings& settings) {
    Buffer buffer;
    const Request request(buffer, RTM_SETLINK, ++sequence_, index);
    if (settings.up) request.info->ifi_flags = request.info->ifi_change = IFF_UP;
    if (settings.mtu) mnl_attr_put_u32(request.header, IFLA_MTU, settings.mtu);
    if (!settings.name.empty()) mnl_attr_put_strz(request.header, IFLA_IFNAME, settings.name.c_str());
    if (settings.master) mnl_attr_put_u32(request.header, IFLA_MASTER, settings.master);
    if (exchange(socket_.get(), request.header, nullptr) < 0) return failed("can't set up an interface");
    return {};
}

base::Outcome<bool> Links::wait(std::chrono::milliseconds limit) {
    pollfd ready{mnl_socket_get_fd(socket_.get()), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) return false;
    Buffer buffer;
    // Lost notices are as good as some: the caller looks for itself.
    if (mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size()) < 0 &&
        errno != static_cast<int>(Errno::ENOBUFS))
        return failed("can't hear of interfaces");
    return true;
}

} // namespace streak::device
