// SPDX-License-Identifier: GPL-2.0-only
#include "console/ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace streak::console {

namespace {

XENCONS_RING_IDX load(XENCONS_RING_IDX& index) { return std::atomic_ref(index).load(std::memory_order_acquire); }
void store(XENCONS_RING_IDX& index, XENCONS_RING_IDX value) {
    std::atomic_ref(index).store(value, std::memory_order_release);
}

/// How much of `size` bytes at `index` lies before the end of a ring.
template <std::size_t N> std::size_t before_end(const char (&)[N], XENCONS_RING_IDX index, std::size_t size) {
    return std::min(size, N - (index & (N - 1)));
}

} // namespace

Ring::Output Ring::peek(Buffer& buffer) const {
    const XENCONS_RING_IDX consumer = load(shared_->out_cons), producer = load(shared_->out_prod);
    const std::size_t size = static_cast<XENCONS_RING_IDX>(producer - consumer);
    if (size > output_bytes) return {{}, producer, true};
    const std::size_t first = before_end(shared_->out, consumer, size);
    std::memcpy(buffer.data(), shared_->out + MASK_XENCONS_IDX(consumer, shared_->out), first);
    std::memcpy(buffer.data() + first, shared_->out, size - first);
    return {{buffer.data(), size}, producer, false};
}

void Ring::take(const Output& output) { store(shared_->out_cons, output.next); }

std::size_t Ring::room() const {
    const std::size_t used = static_cast<XENCONS_RING_IDX>(load(shared_->in_prod) - load(shared_->in_cons));
    return used > input_bytes ? 0 : input_bytes - used;
}

std::size_t Ring::give(std::string_view bytes) {
    const XENCONS_RING_IDX consumer = load(shared_->in_cons), producer = load(shared_->in_prod);
    const std::size_t used = static_cast<XENCONS_RING_IDX>(producer - consumer);
    if (used > input_bytes) return 0;
    const std::size_t size = std::min(bytes.size(), input_bytes - used);
    const std::size_t first = before_end(shared_->in, producer, size);
    std::memcpy(shared_->in + MASK_XENCONS_IDX(producer, shared_->in), bytes.data(), first);
    std::memcpy(shared_->in, bytes.data() + first, size - first);
    store(shared_->in_prod, producer + static_cast<XENCONS_RING_IDX>(size));
    return size;
}

} // namespace streak::console
