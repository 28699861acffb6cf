// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "../unit/require.hpp"

// What the fuzzers of operation sequences have in common.

namespace streak::fuzz {

/// The input, as a series of decisions. When it is used up all decisions are 0, and nothing more is to be begun.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t bytes) : rest_(data, bytes) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    unsigned byte() {
        if (rest_.empty()) return 0;
        const unsigned value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    /// One of `n` <= 256 possibilities.
    unsigned pick(unsigned n) { return byte() % n; }
    bool one_in(unsigned n) { return pick(n) == n - 1; }
    std::uint32_t word() { return byte() | byte() << 8 | byte() << 16 | byte() << 24; }

private:
    std::span<const std::uint8_t> rest_;
};

using test::require;

/// A mistake that the surroundings of the tested code make on purpose when FUZZ_FAULT names it, so that
/// tests/fuzz/replay.py sees that the oracle notices.
class Fault {
public:
    explicit Fault(const char* name) : name_(name), next_(first) {
        first = this;
        const char* wanted = std::getenv("FUZZ_FAULT");
        on_ = wanted && std::strcmp(wanted, name) == 0;
    }
    [[nodiscard]] explicit operator bool() const { return on_; }

    static void list() {
        for (const Fault* f = first; f; f = f->next_) std::puts(f->name_);
    }

private:
    static inline Fault* first = nullptr;
    const char* name_;
    Fault* next_;
    bool on_;
};

} // namespace streak::fuzz
