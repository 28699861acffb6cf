// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <set>

#include "base/uuid.hpp"

using namespace streak::base;

TEST_CASE("a UUID is read with hyphens and without, and written with them", "[base]") {
    const std::string text = "01234567-89ab-cdef-0f1e-2d3c4b5a6978";
    const auto uuid = Uuid::parse(text);
    REQUIRE(uuid);
    CHECK(uuid->bytes[0] == 0x01);
    CHECK(uuid->bytes[15] == 0x78);
    CHECK(uuid->text() == text);
    CHECK(Uuid::parse("0123456789ABCDEF0f1e2d3c4b5a6978") == uuid);
    CHECK(Uuid{}.text() == "00000000-0000-0000-0000-000000000000");
}

TEST_CASE("what is not a UUID is refused", "[base]") {
    for (const char* text : {"", "0", "01234567-89ab-cdef-0f1e-2d3c4b5a697", "01234567-89ab-cdef-0f1e-2d3c4b5a69788",
                             "0123456789ab-cdef-0f1e-2d3c4b5a6978-", "01234567-89ab-cdef-0f1e-2d3c4b5a697g",
                             "{123456789abcdef0f1e2d3c4b5a6978}", "01234567+89ab+cdef+0f1e+2d3c4b5a6978"})
        CHECK_FALSE(Uuid::parse(text));
}

TEST_CASE("random UUIDs differ and say that they are random", "[base]") {
    std::set<Uuid> seen;
    for (int i = 0; i < 100; ++i) {
        const Uuid uuid = Uuid::random();
        CHECK(uuid.text()[14] == '4');
        CHECK((uuid.bytes[8] & 0xc0) == 0x80);
        seen.insert(uuid);
    }
    CHECK(seen.size() == 100);
}
