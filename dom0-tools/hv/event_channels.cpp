// SPDX-License-Identifier: GPL-2.0-only
#include "hv/event_channels.hpp"

#include "hv/device.hpp"
#include "lib/abi.hpp"

#include <sys/ioctl.h>

#include <xen/sys/evtchn.h>

namespace streak::hv {

namespace {

/// A request whose result is a port, or 0.
template <class T> Result<EvtchnPort> request(int device, unsigned long number, T argument) {
    const int result = ::ioctl(device, number, &argument);
    if (result < 0) return last_error();
    return EvtchnPort(static_cast<std::uint32_t>(result));
}

template <class T> Result<> order(int device, unsigned long number, T argument) {
    TRY(request(device, number, argument));
    return {};
}

} // namespace

base::Outcome<EventChannels> EventChannels::open() {
    EventChannels channels;
    TRY_ASSIGN(fd, open_device("evtchn"));
    channels.fd_ = std::move(fd);
    return channels;
}

Result<std::optional<EvtchnPort>> EventChannels::next() {
    evtchn_port_t port;
    if (::read(fd(), &port, sizeof port) == sizeof port) return EvtchnPort(port);
    const auto error = last_error();
    if (error.error() == Errno::EAGAIN) return std::nullopt;
    return error;
}

Result<> EventChannels::unmask(EvtchnPort port) {
    const evtchn_port_t number = port.raw();
    if (::write(fd(), &number, sizeof number) != sizeof number) return last_error();
    return {};
}

Result<> EventChannels::notify(EvtchnPort port) {
    return order(fd(), IOCTL_EVTCHN_NOTIFY, ioctl_evtchn_notify{port.raw()});
}

Result<EvtchnPort> EventChannels::bind_interdomain(DomId domain, EvtchnPort remote) {
    return request(fd(), IOCTL_EVTCHN_BIND_INTERDOMAIN, ioctl_evtchn_bind_interdomain{domain.raw(), remote.raw()});
}

Result<EvtchnPort> EventChannels::bind_virq(std::uint32_t virq) {
    return request(fd(), IOCTL_EVTCHN_BIND_VIRQ, ioctl_evtchn_bind_virq{virq});
}

Result<> EventChannels::close(EvtchnPort port) {
    return order(fd(), IOCTL_EVTCHN_UNBIND, ioctl_evtchn_unbind{port.raw()});
}

} // namespace streak::hv
