// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace streak::debug {

/// A page of a guest, at a virtual address of its.
struct MappedPage {
    std::uint64_t address = 0;
    std::uint64_t frame = 0; ///< machine frame number
    bool writable = false, executable = false;
    bool operator==(const MappedPage&) const = default;
};

using Table = std::array<std::uint64_t, 512>;

/// Collects what a PV guest's page tables map. They are the guest's: they may lead in circles, or map a page a million
/// times, so the tables looked at and the pages found are bounded.
class PageWalk {
public:
    /// `read` gives the entries of the table in a machine frame, or nothing when it can't be read.
    PageWalk(std::function<std::optional<Table>(std::uint64_t frame)> read, std::size_t most_tables,
             std::size_t most_pages)
        : read_(std::move(read)), tables_left_(most_tables), most_pages_(most_pages) {}

    /// Adds the address space of the L4 table in this machine frame, without the hypervisor's part.
    void add(std::uint64_t root) { descend(root, 4, 0); }

    /// The pages, by address, which the walk has no more. Of several at one address it is the one found first.
    [[nodiscard]] std::vector<MappedPage> take();
    /// Whether it is all: every table could be looked at, and there was room for every page.
    [[nodiscard]] bool complete() const { return complete_; }

private:
    void descend(std::uint64_t frame, unsigned level, std::uint64_t base);

    std::function<std::optional<Table>(std::uint64_t)> read_;
    std::size_t tables_left_, most_pages_;
    bool complete_ = true;
    std::vector<MappedPage> pages_;
};

} // namespace streak::debug
