// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/failure.hpp"

namespace streak::cli {

/// What there is on a host, as far as Streak cares.
struct HostFacts {
    std::string hypervisor; ///< /sys/hypervisor/type, empty on bare metal
    std::string extra;      ///< /sys/hypervisor/version/extra
    bool control_domain = false, xenfs = false, root = false;
    std::set<std::string> devices, modules, bridges;
    struct Daemon {
        std::string name;
        std::optional<base::Error> trouble; ///< nothing: it answers
    };
    std::vector<Daemon> daemons;
    std::optional<std::uint64_t> free_kib; ///< what the hypervisor has left for guests
    std::uint32_t cpus = 0;
};

struct Check {
    enum class State : std::uint8_t { good, warning, bad };
    State state = State::good;
    std::string name, found, remedy;
    bool operator==(const Check&) const = default;
};

/// What to say about a host. Pure.
[[nodiscard]] std::vector<Check> examine(const HostFacts& facts);
[[nodiscard]] std::string checks_text(const std::vector<Check>& checks, bool colour);

} // namespace streak::cli
