// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/domain.hpp"
#include "manager/environment.hpp"

namespace streak::manager {

/// A start that nothing is known to stand against. Nothing outside streakd has changed for it.
struct Plan {
    config::Definition definition; ///< without devices
    base::Uuid uuid;
    KernelPointer kernel;
    std::string initrd;
    std::vector<Disk> disks{}; ///< claimed
    std::vector<Interface> interfaces{};

    /// What the builder is asked for, but for domain and ports.
    [[nodiscard]] builder::Request request() const {
        return {.kernel = kernel,
                .initrd = std::as_bytes(std::span(initrd)),
                .command_line = definition.command_line,
                .memory_kib = definition.memory_kib,
                .max_memory_kib = definition.max_memory_kib,
                .vcpus = definition.max_vcpus};
    }
};

/// A domain that is complete, in the hypervisor and in the store, and paused; or an error and nothing left of it.
[[nodiscard]] base::Outcome<Running> construct(const Environment& environment, Plan plan);

} // namespace streak::manager
