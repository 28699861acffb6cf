// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "base/uuid.hpp"
#include "hv/port.hpp"
#include "lib/abi.hpp"
#include "lib/e820.hpp"

// A hypervisor of this process: a little model of domains behind the Port interface, for tests of what stands above it.
// Frames are pages of a memory file, so that mappings, page tables and copies by virtual addresses are the same bytes.

namespace streak::test {

struct FakeDomain {
    base::Uuid handle;
    std::uint32_t max_vcpus = 0, max_event_ports = 0, ssid = 0;
    std::int32_t max_grant_frames = 0, max_maptrack_frames = 0;
    unsigned pauses = 1;
    bool dying = false;
    std::optional<unsigned> shutdown_reason; ///< set by a test: the guest has shut down
    bool blocked = false;
    std::uint64_t cpu_time_ns = 0;

    std::set<std::uint64_t> frames;             ///< its memory
    std::map<std::uint64_t, std::uint64_t> p2m; ///< as populated
    std::uint64_t max_pages = 0, claim = 0;
    std::uint64_t memory_map_bytes = 0;             ///< of the one RAM range; 0: none set
    std::uint64_t shared_info = 0, grant_frame = 0; ///< frames of the hypervisor's that it uses
    std::set<std::uint64_t> pinned, hypercall_pages;
    std::map<std::uint32_t, vcpu_guest_context_t> contexts;
    std::map<std::uint32_t, domid_t> ports; ///< unbound: who may bind them
    std::map<std::uint32_t, std::set<unsigned>> hard, soft;
    unsigned nmis = 0, weight = 256, cap = 0, tsc_mode = 0;
    std::int64_t time_offset = 0;
};

class FakePort final : public hv::Port {
public:
    explicit FakePort(std::uint64_t total_pages = 1u << 16);
    ~FakePort() override;

    // Port
    Result<std::uint64_t> call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) override;
    std::span<std::byte> allocate(std::size_t bytes) override;
    void release(std::span<std::byte> memory) override;
    Result<std::span<std::byte>> map_foreign(DomId domain, std::span<const std::uint64_t> frames,
                                             bool writable) override;
    Result<std::span<std::byte>> map_resource(DomId domain, std::uint32_t type, std::uint32_t id, std::uint64_t first,
                                              std::uint64_t count) override;
    void unmap(std::span<std::byte> mapping) override;

    // The model, for tests to look at and to change
    std::map<domid_t, FakeDomain> domains; ///< domain 0 is there from the start
    std::string log;                       ///< of the hypervisor
    std::string keys;                      ///< debug keys pressed
    unsigned cpus = 2;
    std::vector<e820_entry> machine_map;
    std::set<std::uint64_t> shown;  ///< frames of the hypervisor's that dom0 may read
    unsigned destroy_rounds = 0;    ///< how often the next destroy asks to be called again
    bool large_extents = true;      ///< whether there is memory in pieces of 2 MiB
    bool buffers_left = true;       ///< whether there is memory for hypercalls
    bool direct_memory = true;      ///< guestmemio takes the caller's memory; otherwise hypercall buffers only
    std::set<std::uint64_t> absent; ///< pages (address / 4096) of the caller's memory that guestmemio finds not present

    [[nodiscard]] FakeDomain* find(DomId domain);
    [[nodiscard]] std::uint64_t free_pages() const { return free_.size(); }
    /// The bytes of a frame.
    [[nodiscard]] std::span<std::byte> frame(std::uint64_t mfn) const;
    /// What lies at a guest's virtual address, as the tables below `root` say; empty: nothing is mapped there.
    [[nodiscard]] std::span<std::byte> translate(const FakeDomain& domain, std::uint64_t root,
                                                 std::uint64_t address) const;

    // What was asked for
    [[nodiscard]] unsigned calls() const { return total_; } ///< hypercalls and mappings
    [[nodiscard]] unsigned calls(std::uint32_t number) const;
    /// Of domctl, sysctl, memory_op, event_channel_op and xen_version: by command.
    [[nodiscard]] unsigned calls(std::uint32_t number, std::uint32_t command) const;
    [[nodiscard]] unsigned foreign_maps() const { return foreign_maps_; }
    void forget_calls();
    /// From now on, the `nth` hypercall or mapping (1: the next) fails, once.
    void fail_call(unsigned nth, Errno error) { failing_ = {total_ + nth, error}; }
    /// Whether that failure has happened: a test that lets each call fail in turn ends when it hasn't.
    [[nodiscard]] bool failed() const { return failed_; }

    // What was not given back
    [[nodiscard]] std::size_t buffers() const { return buffers_.size(); }
    [[nodiscard]] std::size_t mappings() const { return mappings_.size(); }

private:
    struct MappedFrames {
        domid_t domain;
        std::vector<std::uint64_t> frames;
    };
    using Outcome = Result<std::uint64_t>;

    [[nodiscard]] Result<> count_call();
    [[nodiscard]] bool in_buffer(std::uint64_t address, std::size_t bytes) const;
    /// Null: it doesn't lie in hypercall memory.
    template <class T> [[nodiscard]] T* argument(std::uint64_t address, std::size_t count = 1) const {
        return in_buffer(address, count * sizeof(T)) ? reinterpret_cast<T*>(address) : nullptr;
    }
    [[nodiscard]] Result<FakeDomain*> domain_for(domid_t domain);

    Outcome dispatch(std::uint32_t number, const std::array<std::uint64_t, 5>& arguments);
    Outcome domctl(xen_domctl_t& op);
    Outcome domctl_of(FakeDomain& d, xen_domctl_t& op);
    Outcome create(xen_domctl_t& op);
    Outcome destroy(domid_t id, FakeDomain& d);
    Outcome set_context(FakeDomain& d, const xen_domctl_vcpucontext& request);
    Outcome get_context(const FakeDomain& d, const xen_domctl_vcpucontext& request) const;
    Outcome page_types(const FakeDomain& d, const xen_domctl_getpageframeinfo3& request) const;
    Outcome affinity(FakeDomain& d, const xen_domctl_vcpuaffinity& request, bool set);
    Outcome share(FakeDomain& d, xen_domctl_scheduler_op& request);
    Outcome guest_memory(domid_t id, FakeDomain& d, xen_domctl_gdbsx_memio& io);
    void describe(domid_t id, const FakeDomain& d, xen_domctl_getdomaininfo_t& info) const;
    Outcome sysctl(xen_sysctl_t& op);
    Outcome read_log(xen_sysctl_readconsole& op);
    Outcome memory_op(std::uint32_t command, std::uint64_t address);
    Outcome populate(const xen_memory_reservation_t& op);
    Outcome list_m2p(xen_machphys_mfn_list_t& op);
    Outcome claim(const xen_memory_reservation_t& op);
    Outcome xen_version(std::uint32_t command, std::uint64_t address);
    Outcome pin(const std::array<std::uint64_t, 5>& arguments);
    [[nodiscard]] bool valid_tables(const FakeDomain& d, std::uint64_t root) const;
    Outcome allocate_port(std::uint64_t address);

    [[nodiscard]] std::optional<std::uint64_t> take_frames(unsigned order);
    void give_back(std::uint64_t mfn);
    /// Gives back what of a dying domain's memory nobody maps any more, and the domain after the last of it.
    void reap(domid_t id);
    [[nodiscard]] Result<std::span<std::byte>> map_frames(domid_t id, std::vector<std::uint64_t> frames, bool writable);

    std::uint64_t total_pages_;
    base::Fd file_;
    std::byte* memory_;            ///< all frames
    std::set<std::uint64_t> free_; ///< machine frame numbers
    std::map<const std::byte*, std::unique_ptr<std::byte[]>> buffer_memory_;
    std::map<const std::byte*, std::size_t> buffers_;
    std::map<const std::byte*, MappedFrames> mappings_;
    static constexpr unsigned m2p_order = 9;
    std::optional<std::uint64_t> m2p_; ///< its first frame, once it was asked for
    domid_t next_id_ = 1;

    unsigned total_ = 0, foreign_maps_ = 0;
    std::map<std::uint32_t, unsigned> by_number_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, unsigned> by_command_;
    std::optional<std::pair<unsigned, Errno>> failing_;
    bool failed_ = false;
    mutable std::recursive_mutex lock_;
};

} // namespace streak::test
