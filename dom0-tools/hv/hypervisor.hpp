// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <vector>

#include "base/uuid.hpp"
#include "hv/port.hpp"
#include "lib/abi.hpp"

namespace streak::hv {

/// XEN_DOMCTL_createdomain
struct NewDomain {
    base::Uuid handle;
    std::uint32_t max_vcpus = 1;
    std::uint32_t max_event_ports = 1023;
    std::uint32_t max_grant_frames = 0;    ///< 0: the hypervisor's own limit
    std::uint32_t max_maptrack_frames = 0; ///< 0: the hypervisor's own limit
    std::uint32_t ssid = 0;                ///< security label; 0: the default
};

/// XEN_DOMCTL_getdomaininfo
struct DomainInfo {
    DomId id{};
    base::Uuid handle;
    bool dying = false, shut_down = false, paused = false, blocked = false, running = false;
    unsigned shutdown_reason = 0; ///< SHUTDOWN_* of xen/sched.h, while shut_down
    std::uint64_t pages = 0, max_pages = 0;
    Mfn shared_info{};
    std::uint64_t cpu_time_ns = 0;
    std::uint32_t online_vcpus = 0, max_vcpu_id = 0, ssid = 0;
};

/// XEN_DOMCTL_getvcpuinfo
struct VcpuInfo {
    bool online = false, blocked = false, running = false;
    std::uint64_t cpu_time_ns = 0;
    std::uint32_t cpu = 0;
};

/// XEN_SYSCTL_physinfo
struct HostInfo {
    std::uint32_t cpus = 0, nodes = 0, cpu_khz = 0;
    std::uint64_t total_pages = 0, free_pages = 0, outstanding_pages = 0;
};

/// Which CPUs: bit n is CPU n; those beyond its end are not in it.
using CpuSet = std::vector<bool>;

/// The hypervisor's operations for a control domain, typed. Each is one hypercall unless it says otherwise; errors are
/// the ABI's. May be used by several threads.
class Hypervisor {
public:
    explicit Hypervisor(Port& port) : port_(port) {}
    [[nodiscard]] Port& port() const { return port_; }

    // Life
    [[nodiscard]] Result<DomId> create_domain(const NewDomain& parameters);
    /// Repeats the call until all is returned.
    [[nodiscard]] Result<> destroy_domain(DomId domain);
    [[nodiscard]] Result<> pause(DomId domain);
    [[nodiscard]] Result<> unpause(DomId domain);
    [[nodiscard]] Result<> set_handle(DomId domain, const base::Uuid& handle);
    [[nodiscard]] Result<> set_max_vcpus(DomId domain, std::uint32_t count);
    [[nodiscard]] Result<> set_max_memory(DomId domain, std::uint64_t kib);
    [[nodiscard]] Result<> set_time_offset(DomId domain, std::int32_t seconds);
    /// XEN_DOMCTL_settscinfo; modes 0 default, 1 always emulate, 2 never emulate.
    [[nodiscard]] Result<> set_tsc_mode(DomId domain, std::uint32_t mode);

    // Reports
    /// ESRCH: no domain has exactly this id.
    [[nodiscard]] Result<DomainInfo> info(DomId domain);
    /// All domains, in as many calls as it takes.
    [[nodiscard]] Result<std::vector<DomainInfo>> list();
    [[nodiscard]] Result<VcpuInfo> vcpu_info(DomId domain, std::uint32_t vcpu);
    [[nodiscard]] Result<HostInfo> host_info();
    /// XENVER_version and XENVER_extraversion, such as "4.17.0-streak".
    [[nodiscard]] Result<std::string> version();
    [[nodiscard]] Result<std::string> build_id();
    /// The hypervisor's log from its beginning; several calls.
    [[nodiscard]] Result<std::string> console_log(bool clear = false);
    [[nodiscard]] Result<> press_debug_keys(std::string_view keys);

    // Processors
    [[nodiscard]] Result<> set_context(DomId domain, std::uint32_t vcpu, const vcpu_guest_context_t& context);
    /// Hard affinity unless `soft`.
    [[nodiscard]] Result<> set_affinity(DomId domain, std::uint32_t vcpu, const CpuSet& cpus, bool soft = false);
    /// As it was set, of the host's first `cpus` CPUs.
    [[nodiscard]] Result<CpuSet> affinity(DomId domain, std::uint32_t vcpu, std::size_t cpus, bool soft = false);
    struct Share {
        std::uint16_t weight = 256; ///< relative to other domains
        std::uint16_t cap = 0;      ///< percent of one CPU; 0: none
    };
    [[nodiscard]] Result<> set_share(DomId domain, Share share);

    // Memory
    /// XENMEM_claim_pages; 0 gives the claim up.
    [[nodiscard]] Result<> claim_pages(DomId domain, std::uint64_t pages);
    /// XENMEM_populate_physmap: machine frames for `count` pages from `first` on; large extents where they fit.
    /// ENOMEM: the hypervisor has no more; what was populated stays with the domain.
    [[nodiscard]] Result<std::vector<std::uint64_t>> populate(DomId domain, Pfn first, std::uint64_t count);
    /// XENMEM_set_memory_map: one RAM range from 0.
    [[nodiscard]] Result<> set_memory_map(DomId domain, std::uint64_t bytes);
    [[nodiscard]] Result<Mapping> map(DomId domain, std::span<const std::uint64_t> frames, bool writable = true);
    [[nodiscard]] Result<Mapping> map_grant_table(DomId domain);
    /// XEN_DOMCTL_gdbsx_guestmemio: copies the caller's memory to a guest's virtual addresses, which `root`
    /// (the machine frame of its L4 table) translates; the guest is paused. `bytes` may lie anywhere and are copied
    /// from there in one call when they are resident (docs/hypercall-library.md); what is not is touched, or goes through a
    /// hypercall buffer. EFAULT: an address of the guest that is not mapped, or not to be written.
    [[nodiscard]] Result<> write_guest(DomId domain, Mfn root, std::uint64_t address, std::span<const std::byte> bytes);
    /// MMUEXT_PIN_L4_TABLE on behalf of a domain.
    [[nodiscard]] Result<> pin_root(DomId domain, Mfn root);
    /// XEN_DOMCTL_hypercall_init
    [[nodiscard]] Result<> write_hypercall_page(DomId domain, Mfn frame);

    // Events
    /// EVTCHNOP_alloc_unbound: a port of `domain` that `remote` may bind.
    [[nodiscard]] Result<EvtchnPort> allocate_port(DomId domain, DomId remote);

private:
    Port& port_;
};

} // namespace streak::hv
