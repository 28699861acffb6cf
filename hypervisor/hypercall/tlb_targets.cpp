// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/tlb_targets.hpp"

namespace streak::hypercall {

Result<CpuMask> cpus_of_vcpus(GuestHandle<u8> bitmap) {
    const Domain& domain = caller();
    std::array<u8, vcpu_limit / 8> bits{};
    TRY(bitmap.read_array(std::span(bits).first((domain.max_vcpus + 7) / 8)));
    CpuMask cpus;
    for (u32 v = 0; v < domain.max_vcpus; ++v)
        if (((bits[v / 8] >> (v % 8)) & 1) && domain.vcpus[v])
            // A vCPU that moves meanwhile loads CR3 and thereby forgets everything.
            cpus.set(CpuId(domain.vcpus[v]->sched.cpu.load()));
    return cpus;
}

} // namespace streak::hypercall
