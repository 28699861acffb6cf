// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <atomic>
#include <bit>

#include "lib/ids.hpp"
#include "lib/types.hpp"

namespace streak {

/// A set of physical CPUs. Single bits are set and cleared atomically, so that CPUs
/// may enter and leave a shared set; whole-set operations are a snapshot.
class CpuMask {
public:
    constexpr CpuMask() = default;
    CpuMask(const CpuMask& other) { *this = other; }
    CpuMask& operator=(const CpuMask& other) {
        for (unsigned i = 0; i < words; ++i)
            bits_[i].store(other.bits_[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
        return *this;
    }

    [[nodiscard]] static CpuMask of(CpuId cpu) {
        CpuMask m;
        m.set(cpu);
        return m;
    }
    [[nodiscard]] bool test(CpuId cpu) const { return (word(cpu).load(std::memory_order_relaxed) >> bit(cpu)) & 1; }
    void set(CpuId cpu) { word(cpu).fetch_or(1ull << bit(cpu)); }
    void clear(CpuId cpu) { word(cpu).fetch_and(~(1ull << bit(cpu))); }
    void set_all() {
        for (auto& w : bits_) w.store(~0ull, std::memory_order_relaxed);
    }
    [[nodiscard]] bool empty() const { return count() == 0; }
    [[nodiscard]] unsigned count() const {
        unsigned n = 0;
        for (const auto& w : bits_) n += static_cast<unsigned>(std::popcount(w.load(std::memory_order_relaxed)));
        return n;
    }
    CpuMask& operator&=(const CpuMask& o) {
        for (unsigned i = 0; i < words; ++i) bits_[i].fetch_and(o.bits_[i].load());
        return *this;
    }
    friend CpuMask operator&(const CpuMask& a, const CpuMask& b) {
        CpuMask both = a;
        both &= b;
        return both;
    }

    template <class F> void for_each(F&& f) const {
        for (unsigned i = 0; i < words; ++i)
            for (u64 w = bits_[i].load(std::memory_order_relaxed); w != 0; w &= w - 1)
                f(CpuId(i * 64 + static_cast<u32>(std::countr_zero(w))));
    }

private:
    static constexpr unsigned words = max_cpus / 64;
    [[nodiscard]] std::atomic<u64>& word(CpuId cpu) { return bits_[cpu.raw() / 64]; }
    [[nodiscard]] const std::atomic<u64>& word(CpuId cpu) const { return bits_[cpu.raw() / 64]; }
    [[nodiscard]] static unsigned bit(CpuId cpu) { return cpu.raw() % 64; }

    std::array<std::atomic<u64>, words> bits_{};
};

} // namespace streak
