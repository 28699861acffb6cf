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
