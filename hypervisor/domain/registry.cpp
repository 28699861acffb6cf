// SPDX-License-Identifier: GPL-2.0-only
#include <bitset>

#include "domain/lifecycle.hpp"

namespace streak {

namespace {
constinit SpinLock registry_lock;
constinit std::array<Domain*, 0x7ff0> domains{};
constinit std::bitset<0x7ff0> taken{}; ///< ids that are not to be given out
constinit u32 last_id = 0;
constinit u64 domains_so_far = 0;
} // namespace

void DomainRef::release(Domain& domain) {
    if (domain.references.fetch_sub(1, std::memory_order_acq_rel) == 1) lifecycle::free_domain(domain);
}

Result<DomainRef> find_domain(DomId id) {
    if (id == self_id || id == caller_id()) {
        Domain* self = current().domain;
        self->references.fetch_add(1, std::memory_order_relaxed);
        return DomainRef(self);
    }
    if (id.raw() >= domains.size()) return fail(Errno::ESRCH);
    LockGuard guard(registry_lock);
    Domain* domain = domains[id.raw()];
    if (!domain) return fail(Errno::ESRCH);
    domain->references.fetch_add(1, std::memory_order_relaxed);
    return DomainRef(domain);
}

Domain* dom0() { return domains[0]; }

DomainRef next_domain(DomId from) {
    LockGuard guard(registry_lock);
    for (u64 id = from.raw() == 0 ? taken._Find_first() : taken._Find_next(from.raw() - 1u); id < domains.size();
         id = taken._Find_next(id))
        if (Domain* domain = domains[id]) {
            domain->references.fetch_add(1, std::memory_order_relaxed);
            return DomainRef(domain);
        }
    return {};
}

namespace lifecycle {

Result<DomId> reserve_id(DomId wanted) {
    LockGuard guard(registry_lock);
    if (wanted != invalid_domid) {
        if (wanted.raw() >= domains.size()) return fail(Errno::EINVAL);
        if (taken.test(wanted.raw())) return fail(Errno::EEXIST);
        taken.set(wanted.raw());
        return wanted;
    }
    // An id comes back as late as possible: tools may still know it.
    for (u32 tried = 0; tried < domains.size(); ++tried) {
        last_id = last_id + 1 < domains.size() ? last_id + 1 : 1;
        if (taken.test(last_id)) continue;
        taken.set(last_id);
        return DomId(static_cast<u16>(last_id));
    }
    return fail(Errno::ENOSPC);
}

void release_id(DomId id) {
    LockGuard guard(registry_lock);
    domains[id.raw()] = nullptr;
    taken.reset(id.raw());
}

void enter_registry(Domain& domain) {
    LockGuard guard(registry_lock);
    domains[domain.id.raw()] = &domain;
    domain.serial = ++domains_so_far;
}

} // namespace lifecycle
} // namespace streak
