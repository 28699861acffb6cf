// SPDX-License-Identifier: GPL-2.0-only
#include "builder/kernel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "builder/load_errors.hpp"

namespace streak::builder {

namespace {

using base::ErrorKind;

/// Copying so many zeros costs less than another read and another hypercall.
constexpr std::uint64_t least_gap = 64 << 10;

/// A kernel that can start with hardware virtualization only (PVH, HVM) has notes, but none of these.
base::Outcome<> check_for_pv(std::string_view name, loader::Bytes file) {
    const auto image = loader::ElfImage::parse(file);
    const auto notes = image ? loader::read_xen_notes(*image) : std::unexpected(image.error());
    if (!notes) return std::unexpected(explain(name, notes.error(), file));
    if (!notes->phys32_entry || notes->entry || notes->virt_base || notes->hypercall_page || !notes->loader.empty())
        return {};
    return base::error(ErrorKind::invalid, fmt::format("{} can't be started: not a PV kernel", name),
                       "ELF notes ENTRY, VIRT_BASE or LOADER of owner Xen", "PHYS32_ENTRY only (a kernel for PVH)",
                       "Give a kernel built with CONFIG_XEN_PV, such as Debian's linux-image-amd64");
}

/// Where the segments go; what of them is zero is left out, since a guest's memory is zero at first.
std::vector<Piece> find_pieces(const loader::PvKernel& kernel, loader::Bytes file, std::span<const Run> runs) {
    std::vector<Piece> pieces;
    kernel.image.for_each_segment([&](const loader::Segment& segment) {
        const auto start = static_cast<std::uint64_t>(segment.data.data() - file.data());
        const auto end = start + segment.data.size();
        const std::size_t others = pieces.size();
        const auto ends_behind = [&](const Run& run) { return run.offset + run.bytes <= start; };
        for (auto run = std::ranges::partition_point(runs, ends_behind); run != runs.end() && run->offset < end;
             ++run) {
            const auto from = std::max(run->offset, start), to = std::min(run->offset + run->bytes, end);
            if (pieces.size() > others && from - (pieces.back().offset + pieces.back().bytes) < least_gap)
                pieces.back().bytes = to - pieces.back().offset;
            else pieces.push_back({kernel.address_of(segment) + (from - start), from, to - from});
        }
    });
    return pieces;
}

/// Which of two overlapping segments wins would depend on zeros being copied; and bytes of the file that go to many
/// places would make a small file a long work.
base::Outcome<> check_segments(std::string_view name, const loader::PvKernel& kernel, std::uint64_t file_bytes) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    std::uint64_t loaded = 0;
    kernel.image.for_each_segment([&](const loader::Segment& segment) {
        const auto address = kernel.address_of(segment);
        ranges.emplace_back(address, address + segment.mem_size);
        loaded += segment.data.size();
    });
    if (loaded > file_bytes)
        return base::error(ErrorKind::invalid, fmt::format("{} can't be started: its segments share bytes", name),
                           fmt::format("at most {} bytes in them", file_bytes), fmt::format("{}", loaded));
    std::ranges::sort(ranges);
    for (std::size_t i = 1; i < ranges.size(); ++i)
        if (ranges[i].first < ranges[i - 1].second)
            return base::error(ErrorKind::invalid, fmt::format("{} can't be started: its segments overlap", name),
                               fmt::format("a segment behind {:#x}", ranges[i - 1].second),
                               fmt::format("{:#x}", ranges[i].first));
    return {};
}

/// The texts are views of a file that is not kept.
loader::PvStart without_texts(loader::PvStart start) {
    auto& n = start.notes;
    n.guest_os = n.guest_version = n.xen_version = n.loader = {};
    n.unknown_required = {};
    return start;
}

} // namespace

base::Outcome<std::shared_ptr<const KernelPlan>> plan_kernel(std::string_view name, loader::Bytes file,
                                                             std::span<const Run> runs) {
    TRY(check_for_pv(name, file));
    const auto kernel = loader::read_pv_kernel(file, loader::StartAs::dom_u);
    if (!kernel) return std::unexpected(explain(name, kernel.error(), file));
    TRY(check_segments(name, *kernel, file.size()));
    return std::make_shared<const KernelPlan>(std::string(name),
                                              fmt::format("{} {}", kernel->notes.guest_os, kernel->notes.guest_version),
                                              without_texts(*kernel), find_pieces(*kernel, file, runs));
}

base::Outcome<> Kernel::check_unchanged() const {
    if (!original_) return {};
    auto now = identity_of(image_.get());
    now.ctime_ns = original_->ctime_ns; // moves as well when another file takes the name
    if (now == *original_) return {};
    return base::error(ErrorKind::conflict, fmt::format("{} was written while a guest was made of it", plan_->name), {},
                       {}, "Start the guest again; replace kernels by renaming a new file over the old one");
}

} // namespace streak::builder
