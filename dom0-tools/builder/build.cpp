// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "builder/page_tables.hpp"
#include "builder/start_state.hpp"

// Frames that arrive are zero (the hypervisor's frame allocator clears them), as is shared_info but for the masked
// upcalls: what is zero, such as a bss and the rings, is not written.

namespace streak::builder {

namespace {

using base::ErrorKind;

constexpr std::uint64_t most_at_once = 1 << 20; // bytes of a kernel that one call writes

/// Memory that a kernel goes through on its way from its file to a guest. One is kept for the next guest: under a
/// hypervisor a new page costs four times what copying it does.
class CopyBuffer {
public:
    CopyBuffer() {
        const std::lock_guard guard(lock_);
        std::swap(memory_, spare_);
    }
    ~CopyBuffer() {
        const std::lock_guard guard(lock_);
        if (memory_.bytes().size() > spare_.bytes().size()) std::swap(memory_, spare_);
    }
    CopyBuffer(const CopyBuffer&) = delete;
    CopyBuffer& operator=(const CopyBuffer&) = delete;

    [[nodiscard]] base::Outcome<std::span<std::byte>> at_least(std::size_t bytes, std::string_view kernel) {
        if (memory_.bytes().size() < bytes) {
            TRY_ASSIGN(memory, PageBuffer::make(bytes, false, kernel));
            memory_ = std::move(memory);
            (void)::madvise(memory_.bytes().data(), bytes, MADV_POPULATE_WRITE); // in one go, without page faults
        }
        return memory_.bytes();
    }

private:
    static inline std::mutex lock_;
    static inline PageBuffer spare_;
    PageBuffer memory_;
};

std::unexpected<base::Error> failed(const char* what, Errno code) {
    return base::hypercall_error(fmt::format("the guest can't be built: {}", what), code);
}

template <class T> base::Outcome<T> checked(Result<T> result, const char* what) {
    if (!result) return failed(what, result.error());
    if constexpr (std::is_void_v<T>) return {};
    else return std::move(*result);
}

std::unexpected<base::Error> out_of_tables() {
    return base::error(ErrorKind::internal, "the guest's page tables were planned too small");
}

/// Makes one guest. The steps are called in the order they stand here.
class Builder {
public:
    Builder(hv::Hypervisor& hypervisor, const Request& request, const StartPlan& plan)
        : hypervisor_(hypervisor), request_(request), plan_(plan), layout_(plan.layout) {}

    base::Outcome<> populate() {
        auto frames = hypervisor_.populate(request_.domain, Pfn(0), request_.memory_kib / (page_size / 1024));
        if (!frames) return no_memory(frames.error());
        frames_ = std::move(*frames);
        return {};
    }

    base::Outcome<> map_start() {
        for (const auto* region : {&layout_.page_tables, &layout_.p2m_tables, &plan_.scratch, &layout_.start_info}) {
            const auto frames = frames_of(*region);
            mapped_.insert(mapped_.end(), frames.begin(), frames.end());
        }
        TRY_ASSIGN(mapping, checked(hypervisor_.map(request_.domain, mapped_), "its first pages can't be mapped"));
        mapping_ = std::move(mapping);
        return {};
    }

    /// All pages below start_pages() in order; the tables themselves can't be written by the guest.
    base::Outcome<> write_tables() {
        const std::size_t tables = layout_.page_tables.pages + layout_.p2m_tables.pages;
        PageTables writer(memory_of(0, tables), std::span(mapped_).first(tables));
        const std::span<const std::uint64_t> start = std::span(frames_).first(layout_.start_pages());
        const std::size_t first = layout_.page_tables.pfn.raw(), end = first + layout_.page_tables.pages;
        if (!writer.map(layout_.virt_base, start.first(first), true) ||
            !writer.map(layout_.page_tables.address, start.subspan(first, end - first), false) ||
            !writer.map(layout_.page_tables.end(), start.subspan(end), true) ||
            writer.used() != layout_.page_tables.pages)
            return out_of_tables();
        if (layout_.p2m_tables.present() && !writer.map(layout_.p2m.address, frames_of(layout_.p2m), true))
            return out_of_tables();

        TRY_ASSIGN(info, checked(hypervisor_.info(request_.domain), "it can't be examined"));
        const start_info_t start_info = make_start_info(request_, layout_, frames_, info.shared_info);
        std::memcpy(memory_of(mapped_.size() - 1, 1).data(), &start_info, sizeof start_info);
        return {};
    }

    base::Outcome<> write_kernel() {
        const auto& pieces = request_.kernel->plan().pieces;
        std::uint64_t largest = 0;
        for (const auto& piece : pieces) largest = std::max(largest, std::min(piece.bytes, most_at_once));
        if (largest == 0) return {};
        CopyBuffer buffer;
        TRY_ASSIGN(memory, buffer.at_least(largest, request_.kernel->plan().name));
        for (const auto& piece : pieces)
            for (std::uint64_t at = 0; at < piece.bytes; at += most_at_once) {
                const auto part = memory.first(std::min(piece.bytes - at, most_at_once));
                TRY(request_.kernel->read(part, piece.offset + at));
                TRY(write(root(), piece.address + at, part, "its kernel can't be written"));
            }
        return request_.kernel->check_unchanged();
    }

    base::Outcome<> write_initrd() {
        constexpr const char* what = "its initial RAM disk can't be written";
        if (request_.initrd.empty()) return {};
        if (!layout_.initrd_by_pfn) return write(root(), layout_.initrd.address, request_.initrd, what);
        const std::size_t first = layout_.page_tables.pages + layout_.p2m_tables.pages;
        const auto memory = memory_of(first, plan_.scratch.pages);
        PageTables scratch(memory, std::span(mapped_).subspan(first, plan_.scratch.pages));
        if (!scratch.map(0, frames_of(layout_.initrd), true)) return out_of_tables();
        TRY(write(Mfn(scratch.root()), 0, request_.initrd, what));
        std::memset(memory.data(), 0, memory.size());
        return {};
    }

    base::Outcome<> write_p2m() {
        return write(root(), layout_.p2m.address, std::as_bytes(std::span(frames_)), "its frame list can't be written");
    }

    /// The tables become page tables: from here on nobody may write them but by hypercall.
    base::Outcome<> finish_memory() {
        mapping_ = {};
        if (const auto page = request_.kernel->plan().start.notes.hypercall_page) {
            const Mfn frame(frames_[(*page - layout_.virt_base) / page_size]);
            TRY(checked(hypervisor_.write_hypercall_page(request_.domain, frame),
                        "its hypercall page can't be written"));
        }
        TRY(checked(hypervisor_.pin_root(request_.domain, root()), "its page tables were refused"));
        const std::uint64_t most_kib = std::max(request_.memory_kib, request_.max_memory_kib);
        return checked(hypervisor_.set_memory_map(request_.domain, most_kib * 1024), "its memory map was refused");
    }

    base::Outcome<> grant_rings() {
        TRY_ASSIGN(table, checked(hypervisor_.map_grant_table(request_.domain), "its grant table can't be mapped"));
        auto* const entries = &table.as<grant_entry_v1_t>();
        entries[GNTTAB_RESERVED_CONSOLE] = grant_to_dom0(frame_of(layout_.console));
        entries[GNTTAB_RESERVED_XENSTORE] = grant_to_dom0(frame_of(layout_.store));
        return {};
    }

    base::Outcome<> set_entry_state() {
        return checked(hypervisor_.set_context(request_.domain, 0, make_context(layout_, root())),
                       "the state of its first vCPU was refused");
    }

    [[nodiscard]] Built result() const { return {frame_of(layout_.store), frame_of(layout_.console), frames_.size()}; }

private:
    [[nodiscard]] Mfn frame_of(const loader::Region& region) const { return Mfn(frames_[region.pfn.raw()]); }
    [[nodiscard]] std::span<const std::uint64_t> frames_of(const loader::Region& region) const {
        return std::span(frames_).subspan(region.pfn.raw(), region.pages);
    }
    [[nodiscard]] Mfn root() const { return frame_of(layout_.page_tables); }
    /// The pages of a region that map_start() mapped.
    [[nodiscard]] std::span<std::byte> memory_of(std::size_t page, std::uint64_t pages) const {
        return mapping_.bytes().subspan(page * page_size, pages * page_size);
    }
    base::Outcome<> write(Mfn root, std::uint64_t address, std::span<const std::byte> bytes, const char* what) {
        return checked(hypervisor_.write_guest(request_.domain, root, address, bytes), what);
    }
    std::unexpected<base::Error> no_memory(Errno code) {
        const auto host = hypervisor_.host_info();
        const auto domain = hypervisor_.info(request_.domain);
        if (code != Errno::ENOMEM || !host || !domain) return failed("its memory was refused", code);
        const auto in_kib = [](std::uint64_t pages) { return fmt::format("{} KiB", pages * (page_size / 1024)); };
        const auto wanted = fmt::format("{} KiB", request_.memory_kib);
        if (domain->max_pages < request_.memory_kib / (page_size / 1024))
            return base::error(ErrorKind::resources, "the guest's memory exceeds the domain's limit",
                               in_kib(domain->max_pages), wanted);
        const auto promised = std::min(host->outstanding_pages, host->free_pages);
        return base::error(ErrorKind::resources, "the host has too little free memory for the guest", wanted,
                           in_kib(host->free_pages - promised + domain->pages),
                           "Stop a guest, or take memory from one or from the control domain");
    }

    hv::Hypervisor& hypervisor_;
    const Request& request_;
    const StartPlan& plan_;
    const loader::PvLayout& layout_;
    std::vector<std::uint64_t> frames_; ///< by pfn
    std::vector<std::uint64_t> mapped_; ///< tables, tables of the p2m, scratch, start_info
    hv::Mapping mapping_;
};

} // namespace

base::Outcome<Built> build(hv::Hypervisor& hypervisor, const Request& request) {
    TRY_ASSIGN(plan, plan_request(request));
    Builder builder(hypervisor, request, plan);
    TRY(builder.populate());
    TRY(builder.map_start());
    TRY(builder.write_tables());
    TRY(builder.write_kernel());
    TRY(builder.write_initrd());
    TRY(builder.write_p2m());
    TRY(builder.finish_memory());
    TRY(builder.grant_rings());
    TRY(builder.set_entry_state());
    return builder.result();
}

} // namespace streak::builder
