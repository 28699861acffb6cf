// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "loader/pv_layout.hpp"

namespace streak::init {

/// The frames a new domain consists of, by pseudo-physical number. Contents are reached through the direct map.
class GuestFrames : NotCopyable {
public:
    /// Takes `count` frames for `domain` in the largest pieces there are; nothing is cleared. Panics when
    /// memory is out: without dom0 there is no system.
    GuestFrames(Domain& domain, u64 count);
    ~GuestFrames();

    [[nodiscard]] u64 count() const { return count_; }
    [[nodiscard]] Mfn mfn(Pfn pfn) const { return Mfn(table_[pfn.raw()]); }
    [[nodiscard]] u8* memory(Pfn pfn) const { return arch::direct_map<u8>(to_maddr(mfn(pfn))); }
    [[nodiscard]] std::span<const u64> p2m() const { return {table_, count_}; }

    /// Copies to `offset` bytes after the start of frame `first`.
    void write(Pfn first, u64 offset, std::span<const std::byte> data) const;
    void clear(Pfn first, u64 offset, u64 bytes) const;

private:
    u64* table_;
    unsigned table_order_;
    u64 count_;
};

/// Writes the start page tables that `layout` describes and returns the L4's frame.
[[nodiscard]] Pfn write_page_tables(const GuestFrames& frames, const loader::PvLayout& layout);

} // namespace streak::init
