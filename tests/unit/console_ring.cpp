// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <string>

#include "console/ring.hpp"

using streak::console::Ring;

namespace {

/// A guest: it writes as Linux's hvc_xen does, or indexes of its choice.
struct Guest {
    xencons_interface shared{};
    Ring ring{shared};
    Ring::Buffer buffer{};

    std::size_t print(std::string_view text) {
        std::size_t count = 0;
        while (count < text.size() && shared.out_prod - shared.out_cons < sizeof shared.out)
            shared.out[MASK_XENCONS_IDX(shared.out_prod++, shared.out)] = text[count++];
        return count;
    }
    std::string read() {
        std::string text;
        while (shared.in_cons != shared.in_prod) text += shared.in[MASK_XENCONS_IDX(shared.in_cons++, shared.in)];
        return text;
    }
    std::string take() {
        const auto output = ring.peek(buffer);
        CHECK_FALSE(output.broken);
        ring.take(output);
        return std::string(output.bytes);
    }
};

} // namespace

TEST_CASE("console ring: output comes in order, over the end of the ring and of the indexes") {
    for (const XENCONS_RING_IDX start : {0u, 2047u, 1000u, 0xffffffffu, 0xfffffc00u}) {
        Guest guest;
        guest.shared.out_cons = guest.shared.out_prod = start;
        CHECK(guest.take().empty());
        CHECK(guest.print("hello, ") == 7);
        CHECK(guest.print("world") == 5);
        CHECK(guest.take() == "hello, world");
        CHECK(guest.take().empty());
        const std::string much(5000, 'x');
        CHECK(guest.print(much) == 2048);
        CHECK(guest.take() == std::string(2048, 'x'));
    }
}

TEST_CASE("console ring: what was not taken is seen again") {
    Guest guest;
    guest.print("abc");
    const auto first = guest.ring.peek(guest.buffer);
    CHECK(first.bytes == "abc");
    guest.print("def");
    Ring::Buffer other{};
    CHECK(Ring(guest.shared).peek(other).bytes == "abcdef");
    guest.ring.take(first);
    CHECK(guest.take() == "def");
}

TEST_CASE("console ring: senseless indexes of the output are skipped") {
    for (const XENCONS_RING_IDX distance : {2049u, 4096u, 0x80000000u, 0xffffffffu}) {
        Guest guest;
        guest.shared.out_cons = 17;
        guest.shared.out_prod = 17 + distance;
        const auto output = guest.ring.peek(guest.buffer);
        CHECK(output.broken);
        CHECK(output.bytes.empty());
        guest.ring.take(output);
        CHECK(guest.shared.out_cons == guest.shared.out_prod);
        guest.print("again");
        CHECK(guest.take() == "again");
    }
}

TEST_CASE("console ring: the consumer moves to what was peeked, whatever the guest does meanwhile") {
    Guest guest;
    guest.print("abc");
    const auto output = guest.ring.peek(guest.buffer);
    guest.shared.out_cons = 12345;
    guest.shared.out_prod = 99999;
    guest.ring.take(output);
    CHECK(guest.shared.out_cons == 3);
}

TEST_CASE("console ring: input goes as far as there is room") {
    for (const XENCONS_RING_IDX start : {0u, 1023u, 0xfffffffeu}) {
        Guest guest;
        guest.shared.in_cons = guest.shared.in_prod = start;
        CHECK(guest.ring.room() == 1024);
        CHECK(guest.ring.give("typed") == 5);
        CHECK(guest.ring.room() == 1019);
        CHECK(guest.read() == "typed");
        CHECK(guest.ring.give(std::string(3000, 'y')) == 1024);
        CHECK(guest.ring.room() == 0);
        CHECK(guest.ring.give("z") == 0);
        CHECK(guest.read() == std::string(1024, 'y'));
    }
}

TEST_CASE("console ring: senseless indexes of the input get nothing") {
    Guest guest;
    guest.shared.in_prod = 1025;
    const std::string before(guest.shared.in, sizeof guest.shared.in);
    CHECK(guest.ring.room() == 0);
    CHECK(guest.ring.give("typed") == 0);
    CHECK(guest.shared.in_prod == 1025);
    CHECK(std::string(guest.shared.in, sizeof guest.shared.in) == before);
    guest.shared.in_cons = 5; // it makes sense again
    CHECK(guest.ring.give("typed") == 4);
}
