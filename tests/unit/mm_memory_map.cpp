// SPDX-License-Identifier: GPL-2.0-only
#include "mm/memory_map.hpp"

#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>

using namespace streak::mm;

namespace {

std::set<std::uint64_t> numbers(const DeviceFrames& frames) {
    std::set<std::uint64_t> all;
    for (const FrameRange& f : frames)
        for (std::uint64_t n = f.first; n < f.end; ++n) CHECK(all.insert(n).second);
    return all;
}

} // namespace

TEST_CASE("device frames are given and taken in any order", "[mm][memory_map]") {
    std::mt19937 random(7);
    for (int run = 0; run < 50; ++run) {
        DeviceFrames frames;
        std::set<std::uint64_t> expected;
        for (int step = 0; step < 40; ++step) {
            const std::uint64_t first = random() % 60, end = first + 1 + random() % 12;
            const bool add = random() % 3 != 0;
            REQUIRE(change_frames(frames, {first, end}, add));
            for (std::uint64_t n = first; n < end; ++n) add ? void(expected.insert(n)) : void(expected.erase(n));
            REQUIRE(numbers(frames) == expected);
        }
    }
}

TEST_CASE("more pieces than there is room for change nothing", "[mm][memory_map]") {
    DeviceFrames frames;
    for (std::uint64_t i = 0; i < DeviceFrames::capacity(); ++i)
        REQUIRE(change_frames(frames, {i * 4, i * 4 + 2}, true));
    CHECK(!change_frames(frames, {1000, 1001}, true));
    CHECK(frames.size() == DeviceFrames::capacity());
    REQUIRE(change_frames(frames, {0, ~0ull}, true)); // one piece again
    CHECK(frames.size() == 1);
}

TEST_CASE("the last frame number is one, too", "[mm][memory_map]") {
    DeviceFrames frames;
    REQUIRE(change_frames(frames, {~0ull - 1, ~0ull}, true));
    REQUIRE(change_frames(frames, {0, 10}, false));
    CHECK(frames.size() == 1);
}

namespace {

MemoryMap normal(std::initializer_list<MemoryRange> ranges) {
    MemoryMap map;
    for (const MemoryRange& r : ranges) (void)map.push_back(r);
    normalise(map);
    return map;
}

void check_ranges(const MemoryMap& map, std::initializer_list<MemoryRange> expected) {
    REQUIRE(map.size() == expected.size());
    for (std::size_t i = 0; i < map.size(); ++i) {
        INFO("range " << i);
        CHECK(map[i].start == expected.begin()[i].start);
        CHECK(map[i].end == expected.begin()[i].end);
        CHECK(map[i].type == expected.begin()[i].type);
    }
}

} // namespace

TEST_CASE("a firmware's memory map is put in order", "[mm][memory_map]") {
    check_ranges(normal({}), {});
    check_ranges(normal({{0x9000, 0xa000, e820_reserved}, {0, 0x9000, e820_ram}}),
                 {{0, 0x9000, e820_ram}, {0x9000, 0xa000, e820_reserved}});
    check_ranges(normal({{0, 0x1000, e820_ram}, {0x1000, 0x3000, e820_ram}}), {{0, 0x3000, e820_ram}}); // neighbours
    check_ranges(normal({{0x5000, 0x5000, e820_ram}, {0x7000, 0x6000, e820_ram}}), {});                 // empty
}

TEST_CASE("memory is RAM only where nothing else is said of it", "[mm][memory_map]") {
    check_ranges(normal({{0, 0x10000, e820_ram}, {0x4000, 0x6000, e820_reserved}}),
                 {{0, 0x4000, e820_ram}, {0x4000, 0x6000, e820_reserved}, {0x6000, 0x10000, e820_ram}});
    check_ranges(normal({{0, 0x2000, e820_reserved}, {0x1000, 0x3000, e820_ram}}),
                 {{0, 0x2000, e820_reserved}, {0x2000, 0x3000, e820_ram}});
    check_ranges(normal({{0, 0x2000, e820_acpi}, {0x1000, 0x3000, e820_nvs}}),
                 {{0, 0x1000, e820_acpi}, {0x1000, 0x3000, e820_nvs}});
}

TEST_CASE("the hypervisor's own devices are denied by frame", "[mm][memory_map]") {
    CHECK_FALSE(io_frame_denied(streak::Mfn(0xfec01)));
    deny_io_frame(streak::Mfn(0xfec01));
    CHECK(io_frame_denied(streak::Mfn(0xfec01)));
    CHECK_FALSE(io_frame_denied(streak::Mfn(0xfec02)));
}
