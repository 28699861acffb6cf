// SPDX-License-Identifier: GPL-2.0-only
#include "grant/maptrack.hpp"

#include <new>

#include "lib/abi.hpp"

namespace streak::grant {

namespace {
constexpr u16 kind_mask = GNTMAP_host_map | GNTMAP_device_map;
constexpr unsigned claimed_shift = 8; ///< kinds that are being undone, above those that exist
constexpr u64 bucket_bytes = page_size;
} // namespace

Maptrack::~Maptrack() {
    for (u32 i = 0; i < count_ / per_frame; ++i) memory_.release(buckets_[i], bucket_bytes);
    if (buckets_) memory_.release(buckets_, max_frames_ * sizeof(Mapping*));
}

Result<> Maptrack::grow() {
    if (count_ / per_frame == max_frames_) return fail(Errno::ENOSPC);
    if (!buckets_) buckets_ = static_cast<Mapping**>(memory_.allocate(max_frames_ * sizeof(Mapping*)));
    auto* bucket = buckets_ ? static_cast<Mapping*>(memory_.allocate(bucket_bytes)) : nullptr;
    if (!bucket) return fail(Errno::ENOSPC);
    for (u32 i = 0; i < per_frame; ++i) {
        ::new (&bucket[i]) Mapping{};
        bucket[i].ref = GrantRef(i + 1 < per_frame ? count_ + i + 1 : free_);
    }
    buckets_[count_ / per_frame] = bucket;
    free_ = count_;
    count_ += per_frame;
    return {};
}

Result<GrantHandle> Maptrack::take() {
    if (free_ == none) TRY(grow());
    const GrantHandle handle(free_);
    free_ = at(handle).ref.raw();
    at(handle) = Mapping{};
    return handle;
}

void Maptrack::put(GrantHandle handle) {
    at(handle) = Mapping{.ref = GrantRef(free_)};
    free_ = handle.raw();
}

Result<Mapping> Maptrack::look_up(GrantHandle handle) const {
    if (handle.raw() >= count_ || !(at(handle).flags & kind_mask)) return fail(Errno::ENOENT);
    return at(handle);
}

Result<Mapping> Maptrack::claim(GrantHandle handle, u16 kinds) {
    if (handle.raw() >= count_ || kinds == 0 || (at(handle).flags & kinds) != kinds) return fail(Errno::EINVAL);
    Mapping& m = at(handle);
    const Mapping whole = m;
    m.flags = static_cast<u16>((m.flags & ~kinds) | kinds << claimed_shift);
    return whole;
}

void Maptrack::give_back(GrantHandle handle, u16 kinds) {
    Mapping& m = at(handle);
    m.flags = static_cast<u16>((m.flags & ~(kinds << claimed_shift)) | kinds);
}

bool Maptrack::finish(GrantHandle handle, u16 kinds) {
    Mapping& m = at(handle);
    m.flags = static_cast<u16>(m.flags & ~(kinds << claimed_shift));
    // Two vCPUs may undo the two kinds at the same time: the later one frees.
    if (m.flags & (kind_mask | kind_mask << claimed_shift)) return false;
    put(handle);
    return true;
}

} // namespace streak::grant
