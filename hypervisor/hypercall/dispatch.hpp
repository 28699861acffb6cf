// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/handlers.hpp"
#include "hypercall/call.hpp"

// Register decoding, deduced from the handler's signature.

namespace streak::hypercall {

using Entry = Return (*)(u64, u64, u64, u64, u64, u64);

template <class T> [[nodiscard]] constexpr T decode(u64 raw) {
    if constexpr (std::is_integral_v<T>) return static_cast<T>(raw);
    else if constexpr (requires { typename T::rep; }) return T(static_cast<typename T::rep>(raw));
    else return T(raw);
}

template <auto Handler> struct Adapter;

template <class... Args, Return (*Handler)(Args...)> struct Adapter<Handler> {
    static Return call(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) {
        const u64 raw[] = {a0, a1, a2, a3, a4, a5};
        return unpack(raw, std::index_sequence_for<Args...>{});
    }

    static constexpr u8 arguments = sizeof...(Args);

private:
    template <std::size_t... I> [[gnu::always_inline]] static Return unpack(const u64* raw, std::index_sequence<I...>) {
        return Handler(decode<Args>(raw[I])...);
    }
};

/// The table's entry for a handler, and how many arguments it has.
using Row = std::pair<Entry, u8>;
template <auto Handler> inline constexpr Row entry{&Adapter<Handler>::call, Adapter<Handler>::arguments};

inline constexpr unsigned table_size = arch::hypercall_table_size;

using Table = std::array<Entry, table_size>;

/// By hypercall number; those that don't exist answer ENOSYS.
extern const Table table asm("hypercall_table");
extern const std::array<u8, table_size> argument_counts;

/// What entry.S and multicall call through: `table`, or another one while calls are watched (hypercall/watch.hpp).
extern const Table* table_in_use asm("hypercall_table_in_use");

} // namespace streak::hypercall
