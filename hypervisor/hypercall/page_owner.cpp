// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/page_owner.hpp"

namespace streak::hypercall {

namespace {

Result<> find_frames_owner(DomId id, PageOwner& owner) {
    if (id == self_id) return {};
    if (id == io_id || id == xen_id) {
        if (!caller().privileged) return fail(Errno::EPERM);
        owner.frames = id;
        return {};
    }
    if (id == caller().id) // the ABI wants DOMID_SELF for it
        return fail(Errno::ESRCH);
    TRY_ASSIGN(domain, find_domain(id));
    TRY(may(xsm::Hook::map_foreign, *domain));
    owner.frames = id;
    owner.frames_ref = std::move(domain);
    return {};
}

} // namespace

Result<> find_foreign_owner(u32 foreign, bool packed, PageOwner& owner) {
    const u32 tables = foreign >> 16;
    if (packed && tables != 0 && DomId(static_cast<u16>(tables - 1)) != caller().id) {
        TRY_ASSIGN(domain, find_domain(DomId(static_cast<u16>(tables - 1))));
        TRY(may(xsm::Hook::map_foreign, *domain));
        if (domain->dying) return fail(Errno::EINVAL);
        owner.tables = domain.get();
        owner.tables_ref = std::move(domain);
    }
    return find_frames_owner(DomId(static_cast<u16>(foreign)), owner);
}

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
