// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "console/input_ring.hpp"

using namespace streak::console;

TEST_CASE("three Ctrl-A switch the focus and are nobody's input") {
    FocusSwitch s;
    CHECK(s.feed(1).held);
    CHECK(s.feed(1).held);
    CHECK(s.feed(1).switched);
    CHECK(s.focus() == Focus::debug_keys);
}

TEST_CASE("fewer than three are delivered before the next character") {
    FocusSwitch s;
    (void)s.feed(1);
    (void)s.feed(1);
    const auto step = s.feed('x');
    CHECK(step.overdue == 2);
    CHECK_FALSE(step.held);
    CHECK(s.feed('y').overdue == 0);
    CHECK(s.focus() == Focus::control_domain);
}

TEST_CASE("a full input ring refuses and keeps what it has") {
    InputRing ring;
    int stored = 0;
    while (ring.push(static_cast<char>('a' + stored % 26))) ++stored;
    CHECK(stored == 4096);
    char c = 0;
    for (int i = 0; i < stored; ++i) {
        REQUIRE(ring.pop(c));
        REQUIRE(c == static_cast<char>('a' + i % 26));
    }
    CHECK_FALSE(ring.pop(c));
}
