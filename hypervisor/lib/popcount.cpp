// SPDX-License-Identifier: GPL-2.0-only
#include "lib/types.hpp"

/// The compiler's call for std::popcount on processors of the baseline, which have no POPCNT; libgcc is not linked.
extern "C" int __popcountdi2(streak::u64 x) {
    x -= (x >> 1) & 0x5555555555555555;
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return static_cast<int>((x * 0x0101010101010101) >> 56);
}
