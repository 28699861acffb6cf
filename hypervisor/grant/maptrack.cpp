// SPDX-License-Identifier: GPL-2.0-only
#include "grant/maptrack.hpp"

#include <new>

namespace streak::grant {

namespace {
constexpr u64 bucket_bytes = page_size;
} // namespace

Maptrack::~Maptrack() {
    for (u32 i = 0; i < handle_count() / per_frame; ++i) memory_.release(buckets_[i], bucket_bytes);
    if (buckets_) memory_.release(buckets_, max_frames_ * sizeof(Mapping*));
}

Result<> Maptrack::grow() {
    const u32 count = handle_count();
    if (count / per_frame == max_frames_) return fail(Errno::ENOSPC);
    if (!buckets_) buckets_ = static_cast<Mapping**>(memory_.allocate(max_frames_ * sizeof(Mapping*)));
    auto* bucket = buckets_ ? static_cast<Mapping*>(memory_.allocate(bucket_bytes)) : nullptr;
    if (!bucket) return fail(Errno::ENOSPC);
    for (u32 i = 0; i < per_frame; ++i) {
        ::new (&bucket[i]) Mapping{};
        bucket[i].ref = GrantRef(i + 1 < per_frame ? count + i + 1 : free_);
    }
    buckets_[count / per_frame] = bucket;
    free_ = count;
    count_.store(count + per_frame, std::memory_order_release);
    return {};
}

} // namespace streak::grant
