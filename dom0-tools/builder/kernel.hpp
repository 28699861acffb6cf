// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "builder/builder.hpp"
#include "builder/kernel_file.hpp"
#include "loader/elf_notes.hpp"

namespace streak::builder {

/// Bytes of a kernel's file that go to an address of the start mapping.
struct Piece {
    std::uint64_t address = 0, offset = 0, bytes = 0;
    bool operator==(const Piece&) const = default;
};

/// What a build needs to know of an unpacked kernel; its bytes stay in the file.
struct KernelPlan {
    std::string name;        ///< as it was asked for
    std::string description; ///< GUEST_OS and GUEST_VERSION of its notes
    loader::PvStart start;   ///< without the texts of its notes
    std::vector<Piece> pieces;
};

/// Checks an unpacked kernel and finds the pieces that are not zero. Errors: invalid.
/// @param file headers and notes of it are looked at
/// @param runs what of it is not zero (nonzero_runs()), by offset
[[nodiscard]] base::Outcome<std::shared_ptr<const KernelPlan>> plan_kernel(std::string_view name, loader::Bytes file,
                                                                           std::span<const Run> runs);

class Kernel {
public:
    /// @param image the unpacked kernel
    /// @param original of an image that root may still write; without it, nobody can
    Kernel(std::shared_ptr<const KernelPlan> plan, base::Fd image, std::optional<FileIdentity> original = {})
        : plan_(std::move(plan)), image_(std::move(image)), original_(original) {}

    [[nodiscard]] const KernelPlan& plan() const { return *plan_; }

    /// Reads bytes of the image. Errors: as read(2); conflict when it got shorter.
    [[nodiscard]] base::Outcome<> read(std::span<std::byte> into, std::uint64_t offset) const {
        return read_exactly(image_.get(), into, offset, plan_->name);
    }
    /// Tells, after the last read, that all of them saw the same file. Errors: conflict.
    [[nodiscard]] base::Outcome<> check_unchanged() const;

private:
    std::shared_ptr<const KernelPlan> plan_;
    base::Fd image_;
    std::optional<FileIdentity> original_;
};

} // namespace streak::builder
