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

/// The builder, which tests can stand in for.
class Builder {
public:
    virtual ~Builder() = default;
    [[nodiscard]] virtual base::Outcome<KernelPointer> load(const std::string& file) {
        return builder::load_kernel(file);
    }
    [[nodiscard]] virtual base::Outcome<> check(const builder::Request& request) { return builder::check(request); }
    [[nodiscard]] virtual base::Outcome<builder::Built> build(hv::Hypervisor& hypervisor,
                                                              const builder::Request& request) {
        return builder::build(hypervisor, request);
    }
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
