// SPDX-License-Identifier: GPL-2.0-only
#include "lib/symbols.hpp"

extern "C" {
// Addresses are offsets from the start of the image. The table is linked behind everything else.
extern const streak::u32 symbol_count;
extern const streak::u32 symbol_offsets[];
extern const streak::u32 symbol_names_index[];
extern const char symbol_names[];
extern const char __image_start[], __text_start[], __text_end[], __init_text_start[], __init_text_end[];
}

namespace streak::symbols {

namespace {

[[nodiscard]] u64 raw(const char* label) { return reinterpret_cast<u64>(label); }

[[nodiscard]] bool is_text(u64 address) {
    return (address >= raw(__text_start) && address < raw(__text_end)) ||
           (address >= raw(__init_text_start) && address < raw(__init_text_end));
}

} // namespace

u32 count() { return symbol_count; }

Symbol at(u32 index) { return {symbol_names + symbol_names_index[index], raw(__image_start) + symbol_offsets[index]}; }

std::optional<Symbol> find(u64 address) {
    if (!is_text(address) || symbol_count == 0) return {};
    const u64 offset = address - raw(__image_start);
    u32 low = 0, high = symbol_count; // the answer is in [low, high)
    while (high - low > 1) {
        const u32 middle = low + (high - low) / 2;
        (symbol_offsets[middle] <= offset ? low : high) = middle;
    }
    if (symbol_offsets[low] > offset) return {};
    return at(low);
}

} // namespace streak::symbols
