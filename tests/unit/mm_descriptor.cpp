// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "mm/descriptor_check.hpp"

using namespace streak;

namespace {

constexpr u64 dpl_mask = 3ull << 45;
constexpr u64 present = 1ull << 47;

constexpr unsigned dpl(u64 descriptor) { return static_cast<unsigned>(descriptor >> 45 & 3); }

/// A present system descriptor of a type, DPL 3.
constexpr u64 system_segment(u64 type) { return present | dpl_mask | type << 40 | 0x67; }

} // namespace

TEST_CASE("descriptors: empty and absent ones stay as they are", "[mm]") {
    for (const u64 wanted : {u64(0), system_segment(0xc) & ~present, ~present, u64(0x00cf13000000ffff)}) {
        u64 descriptor = wanted;
        CHECK(mm::fix_descriptor(descriptor));
        CHECK(descriptor == wanted);
    }
}

TEST_CASE("descriptors: Linux' segments are accepted at the guest's level", "[mm]") {
    // Kernel code 32 and 64, kernel data, user code 32, user data, user code 64, node number.
    for (const u64 wanted : {0x00cf9b000000ffffull, 0x00af9b000000ffffull, 0x00cf93000000ffffull, 0x00cffb000000ffffull,
                             0x00cff3000000ffffull, 0x00affb000000ffffull, 0x0040f50000000001ull}) {
        u64 descriptor = wanted;
        CHECK(mm::fix_descriptor(descriptor));
        CHECK(dpl(descriptor) == 3);
        CHECK((descriptor | dpl_mask) == (wanted | dpl_mask));
    }
}

TEST_CASE("descriptors: every code and data type gets level 3", "[mm]") {
    for (u64 type = 0; type < 16; ++type)
        for (u64 level = 0; level < 4; ++level) {
            u64 descriptor = present | 1ull << 44 | type << 40 | level << 45;
            CHECK(mm::fix_descriptor(descriptor));
            CHECK(descriptor == (present | 1ull << 44 | type << 40 | dpl_mask));
        }
}

TEST_CASE("descriptors: present system descriptors are refused", "[mm]") {
    for (u64 type = 1; type < 16; ++type)
        for (u64 level = 0; level < 4; ++level) {
            u64 descriptor = (system_segment(type) & ~dpl_mask) | level << 45;
            CHECK_FALSE(mm::fix_descriptor(descriptor));
        }
    u64 upper_half = system_segment(0);
    CHECK(mm::fix_descriptor(upper_half));
}

static_assert([] {
    u64 call_gate = 0x0000ec00e0080000;
    return !mm::fix_descriptor(call_gate);
}());
