// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>

namespace streak::builder {

/// Start page tables of 4 KiB pages, made in frames of the guest that are mapped here one behind the other and zero at
/// first.
class PageTables {
public:
    /// @param memory of the tables; the first page becomes the L4
    /// @param frames machine frame number of each of these pages
    PageTables(std::span<std::byte> memory, std::span<const std::uint64_t> frames)
        : entries_(reinterpret_cast<std::uint64_t*>(memory.data())), frames_(frames) {}

    /// Maps machine frames at `address` and behind it. False when the tables don't suffice.
    [[nodiscard]] bool map(std::uint64_t address, std::span<const std::uint64_t> frames, bool writable);

    [[nodiscard]] std::uint64_t root() const { return frames_[0]; }
    [[nodiscard]] std::size_t used() const { return used_; }

private:
    static constexpr std::size_t entries_per_table = 512;

    [[nodiscard]] std::uint64_t* table(std::size_t index) { return entries_ + index * entries_per_table; }
    /// Null: the tables are used up.
    [[nodiscard]] std::uint64_t* descend(std::uint64_t& entry);
    [[nodiscard]] std::uint64_t* l1_of(std::uint64_t address);

    std::uint64_t* entries_;
    std::span<const std::uint64_t> frames_;
    std::size_t used_ = 1;
};

} // namespace streak::builder
