// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/vcpu.hpp"
#include "lib/e820.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/heap.hpp"
#include "mm/memory_map.hpp"
#include "xsm/xsm.hpp"

namespace streak {

namespace evtchn {
class PortTable;
class Fifo;
} // namespace evtchn
namespace grant {
class Table;
class Maptrack;
} // namespace grant
namespace irq {
struct DomainIrqs;
}

/// The words of CPUID that list features, in the order of xen/arch-x86/cpufeatureset.h.
using FeatureMask = std::array<u32, 12>;
inline constexpr FeatureMask all_features = [] {
    FeatureMask all{};
    all.fill(~0u);
    return all;
}();

/// A domain: its memory account, vCPUs and the tables of its subsystems.
///
/// Lock order (docs/locking.md): page_lock → DomainPages::lock; event lock and grant lock are leaves among
/// themselves; between two domains the lower DomId first.
struct Domain {
    DomId id{};
    bool privileged = false; ///< dom0
    std::atomic<u32> references{1};
    u64 serial = 0; ///< no two domains have had the same one
    xen_domain_handle_t handle{};
    xsm::Subject subject;

    SpinLock page_lock; ///< serialises page-table operations on this domain's tables
    mm::DomainPages pages;
    mm::PageInfo* relinquish_at = nullptr; ///< where mm::relinquish_memory goes on, with a reference
    SpinLock context_lock;                 ///< one vCPU gets its state at a time; taken before page_lock
    CpuMask dirty_cpus;                    ///< CPUs whose TLB may hold this domain's entries
    u64 vm_assist = 0;                     ///< VMASST_TYPE_* bits

    shared_info_t* shared_info = nullptr; ///< heap page shown to the guest

    u32 max_vcpus = 0;
    std::array<Vcpu*, vcpu_limit> vcpus{};

    evtchn::PortTable* ports = nullptr;
    SpinLock event_lock;
    evtchn::Fifo* fifo = nullptr;                            ///< FIFO delivery, once a vCPU set up its control block
    SpinLock fifo_lock;                                      ///< the FIFO queues; a leaf
    std::array<std::atomic<u64>, vcpu_limit / 64> pollers{}; ///< vCPUs in SCHEDOP_poll (domain/notify.hpp)
    grant::Table* grants = nullptr;
    u32 max_grant_version = 2;
    SpinLock grant_lock;
    grant::Maptrack* maptrack = nullptr; ///< what this domain has mapped of others
    SpinLock maptrack_lock;
    irq::DomainIrqs* irqs = nullptr; ///< PIRQ bindings

    // Life cycle
    std::atomic<bool> dying{false};
    std::atomic<bool> shutting_down{false};
    std::atomic<bool> crashed{false};
    std::atomic<u32> pause_count{0};
    std::atomic<u32> tool_pauses{0};             ///< of them, those of DOMCTL_pausedomain
    std::atomic<bool> being_relinquished{false}; ///< by a CPU, right now
    std::atomic<bool> dead{false};               ///< holds nothing any more but what others use of it
    std::atomic<bool> buried{false};             ///< nor that
    Timer burial;
    u32 shutdown_code = 0;

    // What the guest may touch without asking (dom0: everything but Streak's own devices; others: what they were given).
    using IoPorts = std::array<u64, 1024>;
    mm::Owned<IoPorts> io_ports;           ///< bit set: access allowed; none: to no port
    mm::Owned<mm::DeviceFrames> io_memory; ///< of a domain without privileges; changes under page_lock
    std::atomic<u32> pci_latch{0};         ///< what it wrote to port 0xcf8

    DomainSched sched;

    // Time
    i64 time_offset_seconds = 0;
    u32 tsc_mode = 0;
    u32 tsc_incarnation = 0;

    FeatureMask features = all_features; ///< what CPUID may show of the processor's features

    /// XENMEM_set_memory_map (domU); made once and kept, under context_lock.
    using MemoryMap = StaticVector<e820_entry, 128>;
    mm::Owned<MemoryMap> memory_map;

    template <class F> void for_each_vcpu(F&& visit) const {
        for (u32 id = 0; id < max_vcpus; ++id)
            if (Vcpu* v = vcpus[id]) visit(*v);
    }
    [[nodiscard]] bool may_use_ports(u32 first, u32 count) const {
        for (u32 p = first; p < first + count; ++p)
            if (!io_ports || p > 0xffff || !(((*io_ports)[p / 64] >> (p % 64)) & 1)) return false;
        return true;
    }
};

/// Keeps a domain from vanishing while it is used.
class DomainRef {
public:
    DomainRef() = default;
    explicit DomainRef(Domain* domain) : domain_(domain) {} ///< adopts one reference
    DomainRef(DomainRef&& other) noexcept : domain_(other.domain_) { other.domain_ = nullptr; }
    DomainRef& operator=(DomainRef&& other) noexcept {
        std::swap(domain_, other.domain_);
        return *this;
    }
    ~DomainRef() {
        if (domain_) release(*domain_);
    }

    Domain& operator*() const { return *domain_; }
    Domain* operator->() const { return domain_; }
    explicit operator bool() const { return domain_ != nullptr; }
    [[nodiscard]] Domain* get() const { return domain_; }

private:
    static void release(Domain& domain);
    Domain* domain_ = nullptr;
};

/// The domain with this id, DOMID_SELF included. ESRCH. (domain/registry.cpp)
[[nodiscard]] Result<DomainRef> find_domain(DomId id);
[[nodiscard]] Domain* dom0();
/// Next domain with an id ≥ `from`, in id order; empty at the end.
[[nodiscard]] DomainRef next_domain(DomId from);
template <class F> void for_each_domain(F&& visit) {
    for (DomainRef d = next_domain(dom0_id); d; d = next_domain(d->id + 1)) visit(*d);
}

/// Raises a virtual interrupt: per-vCPU ones (VIRQ_TIMER, VIRQ_DEBUG …) on `vcpu`. (domain/notify.cpp)
void send_virq(Vcpu& vcpu, u32 virq);
/// Raises a global VIRQ (VIRQ_CONSOLE, VIRQ_DOM_EXC …) in the domain that bound it (dom0).
void send_global_virq(u32 virq);

} // namespace streak
