// SPDX-License-Identifier: GPL-2.0-only
#include <array>

#include "domain/domain.hpp"
#include "domain/lifecycle.hpp"

namespace streak {

namespace {
constinit SpinLock registry_lock;
constinit std::array<Domain*, 0x7ff0> domains{};
constinit u32 highest_id = 0;
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
    for (u32 id = from.raw(); id <= highest_id && id < domains.size(); ++id)
        if (Domain* domain = domains[id]) {
            domain->references.fetch_add(1, std::memory_order_relaxed);
            return DomainRef(domain);
        }
    return {};
}

namespace lifecycle {

Result<> enter_registry(Domain& domain) {
    LockGuard guard(registry_lock);
    if (domain.id.raw() >= domains.size()) return fail(Errno::EINVAL);
    if (domains[domain.id.raw()]) return fail(Errno::EEXIST);
    domains[domain.id.raw()] = &domain;
    domain.serial = ++domains_so_far;
    if (domain.id.raw() > highest_id) highest_id = domain.id.raw();
    return {};
}

void leave_registry(Domain& domain) {
    LockGuard guard(registry_lock);
    domains[domain.id.raw()] = nullptr;
}

} // namespace lifecycle
} // namespace streak
