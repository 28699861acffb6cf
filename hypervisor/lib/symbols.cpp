// SPDX-License-Identifier: GPL-2.0-only
#include "lib/symbols.hpp"

extern "C" {
// The table is linked behind everything else.
extern const streak::u32 symbol_count;
extern const streak::u8 symbol_gaps[];
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

/// Goes through the table, which is packed for a small image and not for speed: panics and debuggers read it.
class Walk {
public:
    Symbol next() {
        u64 gap = 0;
        for (unsigned shift = 0;; shift += 7) { // LEB128
            gap |= (*gap_ & 0x7full) << shift;
            if (!(*gap_++ & 0x80)) break;
        }
        const Symbol symbol{name_, before_ += gap};
        name_ += symbol.name.size() + 1;
        return symbol;
    }

private:
    const u8* gap_ = symbol_gaps;
    const char* name_ = symbol_names;
    u64 before_ = raw(__image_start);
};

} // namespace

u32 count() { return symbol_count; }

Symbol at(u32 index) {
    Walk walk;
    for (; index != 0; --index) walk.next();
    return walk.next();
}

std::optional<Symbol> find(u64 address) {
    if (!is_text(address)) return {};
    std::optional<Symbol> found;
    Walk walk;
    for (u32 i = 0; i < symbol_count; ++i) {
        const Symbol symbol = walk.next();
        if (symbol.address > address) break;
        found = symbol;
    }
    return found;
}

} // namespace streak::symbols
