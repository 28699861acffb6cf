// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>

#include "builder/builder.hpp"
#include "config/report.hpp"
#include "device/access.hpp"
#include "hv/hypervisor.hpp"
#include "manager/paths.hpp"

namespace streak::manager {

using KernelPointer = std::shared_ptr<const builder::Kernel>;

/// The builder, behind an interface that tests can stand in for.
class Builder {
public:
    virtual ~Builder() = default;
    [[nodiscard]] virtual base::Outcome<KernelPointer> load(const std::string& file) = 0;
    [[nodiscard]] virtual std::uint64_t least_memory_kib(const builder::Kernel* kernel, std::uint64_t initrd_bytes) = 0;
    [[nodiscard]] virtual base::Outcome<builder::Built> build(hv::Hypervisor& hypervisor,
                                                              const builder::Request& request) = 0;
};

/// All that the manager works with; it outlives the manager.
struct Environment {
    hv::Hypervisor& hypervisor;
    device::Store& store;
    device::Host& host;
    Builder& builder;
    Paths paths;
    /// A definition, or a single device, parsed where it can do no harm.
    std::function<base::Outcome<config::Parsed>(const std::string& text, bool device)> parse;
    /// Seconds since the machine started, sleep included.
    std::function<std::int64_t()> uptime_s;
    /// How long a backend or guest may take to answer.
    device::Milliseconds patience{10'000};
};

/// A hypercall's or the store's result as an outcome of `what`.
template <class T> [[nodiscard]] base::Outcome<T> checked(Result<T> result, std::string_view what) {
    if (!result) return base::hypercall_error(std::string(what), result.error());
    if constexpr (std::is_void_v<T>) return {};
    else return std::move(*result);
}

} // namespace streak::manager
