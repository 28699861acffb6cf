// SPDX-License-Identifier: GPL-2.0-only
#include "fake_port.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ranges>
#include <stdexcept>

#include <sys/mman.h>
#include <unistd.h>

// Memory, mappings and counts of the fake; its hypercalls are in fake_port_calls.cpp.

namespace streak::test {

namespace {

/// The number of the first frame, so that a number is never taken for an index.
constexpr std::uint64_t first_frame = 0x10000;
constexpr std::uint64_t control_pages = 1024; ///< of domain 0

} // namespace

FakePort::FakePort(std::uint64_t total_pages)
    : total_pages_(total_pages), file_(::memfd_create("frames", MFD_CLOEXEC)), memory_(nullptr) {
    if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(total_pages * page_size)) != 0)
        throw std::runtime_error("no memory file for the fake hypervisor");
    void* const all =
        ::mmap(nullptr, total_pages * page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.get(), 0);
    if (all == MAP_FAILED) throw std::runtime_error("can't map the fake hypervisor's memory");
    memory_ = static_cast<std::byte*>(all);
    for (std::uint64_t i = 0; i < total_pages; ++i) free_.insert(free_.end(), first_frame + i);

    FakeDomain control;
    control.max_vcpus = cpus;
    control.pauses = 0;
    control.max_pages = ~0u;
    for (std::uint64_t i = 0; i < std::min(control_pages, total_pages / 4); ++i) control.frames.insert(*take_frames(0));
    control.shared_info = *take_frames(0);
    domains.emplace(0, std::move(control));
}

FakePort::~FakePort() {
    for (const auto& [memory, mapped] : mappings_)
        ::munmap(const_cast<std::byte*>(memory), mapped.frames.size() * page_size);
    ::munmap(memory_, total_pages_ * page_size);
}

FakeDomain* FakePort::find(DomId domain) {
    const auto at = domains.find(domain.raw());
    return at == domains.end() ? nullptr : &at->second;
}

std::span<std::byte> FakePort::frame(std::uint64_t mfn) const {
    if (mfn < first_frame || mfn >= first_frame + total_pages_) return {};
    return {memory_ + (mfn - first_frame) * page_size, page_size};
}

/// Single frames come from the top, so that what is asked for one by one is not in order by chance.
std::optional<std::uint64_t> FakePort::take_frames(unsigned order) {
    if (free_.empty()) return std::nullopt;
    if (order == 0) {
        const std::uint64_t mfn = *free_.rbegin();
        free_.erase(mfn);
        return mfn;
    }
    if (!large_extents) return std::nullopt;
    const std::uint64_t count = 1ull << order;
    for (std::uint64_t base = (*free_.begin() + count - 1) / count * count; base + count <= first_frame + total_pages_;
         base += count) {
        const auto begin = free_.find(base), last = free_.find(base + count - 1);
        if (begin == free_.end() || last == free_.end()) continue;
        if (std::distance(begin, last) != static_cast<std::ptrdiff_t>(count - 1)) continue;
        free_.erase(begin, std::next(last));
        return base;
    }
    return std::nullopt;
}

void FakePort::give_back(std::uint64_t mfn) {
    // The next owner finds it empty.
    ::madvise(frame(mfn).data(), page_size, MADV_REMOVE);
    free_.insert(mfn);
}

void FakePort::reap(domid_t id) {
    FakeDomain* const d = find(DomId(id));
    if (d == nullptr || !d->dying) return;
    std::set<std::uint64_t> mapped;
    for (const auto& [memory, m] : mappings_)
        if (m.domain == id) mapped.insert(m.frames.begin(), m.frames.end());
    std::erase_if(d->frames, [&](std::uint64_t mfn) {
        if (mapped.contains(mfn)) return false;
        give_back(mfn);
        return true;
    });
    if (!mapped.empty()) return;
    give_back(d->shared_info);
    give_back(d->grant_frame);
    domains.erase(id);
}

std::span<std::byte> FakePort::allocate(std::size_t bytes) {
    const std::lock_guard guard(lock_);
    if (!buffers_left) return {};
    auto memory = std::make_unique<std::byte[]>(std::max<std::size_t>(bytes, 1));
    std::byte* const start = memory.get();
    buffer_memory_[start] = std::move(memory);
    buffers_[start] = bytes;
    return {start, bytes};
}

void FakePort::release(std::span<std::byte> memory) {
    const std::lock_guard guard(lock_);
    const auto at = buffers_.find(memory.data());
    if (at == buffers_.end() || at->second != memory.size()) throw std::logic_error("released what was not allocated");
    buffers_.erase(at);
    buffer_memory_.erase(memory.data());
}

bool FakePort::in_buffer(std::uint64_t address, std::size_t bytes) const {
    const auto* const start = reinterpret_cast<const std::byte*>(address);
    auto at = buffers_.upper_bound(start);
    if (at == buffers_.begin()) return false;
    --at;
    const auto offset = static_cast<std::size_t>(start - at->first);
    return offset <= at->second && bytes <= at->second - offset;
}

Result<std::span<std::byte>> FakePort::map_frames(domid_t id, std::vector<std::uint64_t> frames, bool writable) {
    const int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const std::size_t bytes = frames.size() * page_size;
    void* const place = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return fail(Errno::ENOMEM);
    auto* const memory = static_cast<std::byte*>(place);
    for (std::size_t i = 0; i < frames.size();) {
        std::size_t run = 1;
        while (i + run < frames.size() && frames[i + run] == frames[i] + run) ++run;
        if (::mmap(memory + i * page_size, run * page_size, access, MAP_SHARED | MAP_FIXED, file_.get(),
                   static_cast<off_t>((frames[i] - first_frame) * page_size)) == MAP_FAILED)
            throw std::runtime_error("can't map frames of the fake hypervisor");
        i += run;
    }
    mappings_[memory] = {id, std::move(frames)};
    return std::span(memory, bytes);
}

Result<std::span<std::byte>> FakePort::map_foreign(DomId domain, std::span<const std::uint64_t> frames, bool writable) {
    const std::lock_guard guard(lock_);
    ++foreign_maps_;
    TRY(count_call());
    if (domain == xen_id) {
        for (const std::uint64_t mfn : frames)
            if (writable || !shown.contains(mfn)) return fail(Errno::EPERM);
        return map_frames(domain.raw(), {frames.begin(), frames.end()}, false);
    }
    TRY_ASSIGN(d, domain_for(domain.raw()));
    if (frames.empty() || d->dying) return fail(Errno::EINVAL);
    for (const std::uint64_t mfn : frames)
        if (!d->frames.contains(mfn) && mfn != d->shared_info) return fail(Errno::EINVAL);
    return map_frames(domain.raw(), {frames.begin(), frames.end()}, writable);
}

Result<std::span<std::byte>> FakePort::map_resource(DomId domain, std::uint32_t type, std::uint32_t id,
                                                    std::uint64_t first, std::uint64_t count) {
    const std::lock_guard guard(lock_);
    TRY(count_call());
    TRY_ASSIGN(d, domain_for(domain.raw()));
    if (domain == dom0_id) return fail(Errno::EPERM);
    if (type != XENMEM_resource_grant_table) return fail(Errno::EOPNOTSUPP);
    if (id != XENMEM_resource_grant_table_id_shared || first != 0 || count != 1 || d->dying) return fail(Errno::EINVAL);
    return map_frames(domain.raw(), {d->grant_frame}, true);
}

void FakePort::unmap(std::span<std::byte> mapping) {
    const std::lock_guard guard(lock_);
    const auto at = mappings_.find(mapping.data());
    if (at == mappings_.end() || at->second.frames.size() * page_size != mapping.size())
        throw std::logic_error("unmapped what was not mapped");
    const domid_t id = at->second.domain;
    mappings_.erase(at);
    ::munmap(mapping.data(), mapping.size());
    reap(id);
}

Result<> FakePort::count_call() {
    ++total_;
    if (!failing_ || failing_->first != total_) return {};
    failed_ = true;
    return fail(std::exchange(failing_, std::nullopt)->second);
}

unsigned FakePort::calls(std::uint32_t number) const {
    const auto at = by_number_.find(number);
    return at == by_number_.end() ? 0 : at->second;
}

unsigned FakePort::calls(std::uint32_t number, std::uint32_t command) const {
    const auto at = by_command_.find({number, command});
    return at == by_command_.end() ? 0 : at->second;
}

void FakePort::forget_calls() {
    total_ = foreign_maps_ = 0;
    by_number_.clear();
    by_command_.clear();
    failing_.reset();
    failed_ = false;
}

} // namespace streak::test
