// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/environment.hpp"

namespace streak::manager {

class RealBuilder final : public Builder {
public:
    [[nodiscard]] base::Outcome<KernelPointer> load(const std::string& file) override {
        return builder::load_kernel(file);
    }
    [[nodiscard]] std::uint64_t least_memory_kib(const builder::Kernel* kernel, std::uint64_t initrd_bytes) override {
        return builder::least_memory_kib(*kernel, initrd_bytes);
    }
    [[nodiscard]] base::Outcome<builder::Built> build(hv::Hypervisor& hypervisor,
                                                      const builder::Request& request) override {
        return builder::build(hypervisor, request);
    }
};

} // namespace streak::manager
