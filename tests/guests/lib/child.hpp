// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/mailbox.hpp"
#include "tests/guests/lib/paging.hpp"

namespace guest {

/// An unprivileged domain that runs another of these kernels, made and ended by this one as dom0.
class Child {
public:
    static constexpr unsigned frames = 1024, max_vcpus = 8;

    /// Makes the domain from an ELF image and connects its mailbox. It is paused. Ends the test when something fails.
    /// `window` is an address that this kernel's tables map, for two pages.
    void create(const void* image, const char* name, u64 window);
    void start();
    /// Prints what it says, each line with its name in front. True: it said that a check has failed.
    bool relay();
    /// Unmaps the mailbox and destroys the domain, until nothing is left of it.
    void destroy();

    [[nodiscard]] domid_t id() const { return id_; }
    [[nodiscard]] u64 mfn(u64 pfn) const { return mfns_[pfn]; }
    [[nodiscard]] Mailbox& mailbox() const { return *reinterpret_cast<Mailbox*>(window_ + page_size); }
    /// SHUTDOWN_*, or -1 while it is none of that.
    [[nodiscard]] int shutdown_reason() const;

private:
    template <class F> void change(u64 pfn, F&& f);
    void make_domain();
    void load(const void* image);
    void write_tables();
    void write_start_info();
    void set_first_vcpu();

    domid_t id_ = 0;
    const char* name_ = "";
    u64 window_ = 0;
    u64 entry_ = 0, hypercall_page_ = 0, next_pfn_ = 0;
    u64 p2m_pfn_ = 0, start_info_pfn_ = 0, l4_pfn_ = 0;
    u64 mfns_[frames] = {};
    char line_[200] = {};
    unsigned line_length_ = 0;
};

/// Machine frames that nobody has; the hypervisor's own structures are not among them.
u64 free_frames();

/// Maps `mfn` of another domain; 0 or an error.
long map_foreign(u64 address, domid_t domain, u64 mfn);

} // namespace guest
