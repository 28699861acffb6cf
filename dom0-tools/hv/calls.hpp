// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hv/port.hpp"
#include "lib/abi.hpp"

// How hypercalls with a structure are made: it is copied to hypercall memory, the call is made, and it is copied back,
// since errors have details, too.

namespace streak::hv {

/// `argument` is named by the last of the call's arguments; a command may stand before it.
template <class T, class... Command>
[[nodiscard]] Result<std::uint64_t> call_with(Port& port, std::uint32_t number, T& argument, Command... command) {
    const Buffer<T> buffer(port);
    if (!buffer) return fail(Errno::ENOMEM);
    *buffer = argument;
    const auto done = port.call(number, {std::uint64_t{command}..., buffer.address()});
    argument = *buffer;
    return done;
}

[[nodiscard]] inline xen_domctl_t domctl(std::uint32_t command, DomId domain) {
    xen_domctl_t op{};
    op.cmd = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain.raw();
    return op;
}

[[nodiscard]] inline xen_sysctl_t sysctl(std::uint32_t command) {
    xen_sysctl_t op{};
    op.cmd = command;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return op;
}

/// A DOMCTL or SYSCTL; its results are in `op`.
template <class Op> [[nodiscard]] Result<> run(Port& port, Op& op) {
    TRY(call_with(port, std::is_same_v<Op, xen_domctl_t> ? __HYPERVISOR_domctl : __HYPERVISOR_sysctl, op));
    return {};
}

/// A DOMCTL that has no results; `fill` sets its parameters.
template <class Fill> [[nodiscard]] Result<> order(Port& port, std::uint32_t command, DomId domain, Fill&& fill) {
    auto op = domctl(command, domain);
    fill(op.u);
    return run(port, op);
}
[[nodiscard]] inline Result<> order(Port& port, std::uint32_t command, DomId domain) {
    return order(port, command, domain, [](auto&) {});
}

} // namespace streak::hv
