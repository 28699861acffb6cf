// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <string>

#include "console/allowance.hpp"
#include "console/byte_queue.hpp"
#include "console/safe_text.hpp"

using namespace streak::console;
using namespace std::string_literals;

namespace {

std::string safe(std::string_view raw) {
    std::string whole, pieces;
    SafeText().feed(raw, whole);
    SafeText filter;
    for (const char c : raw) filter.feed(std::string_view(&c, 1), pieces);
    CHECK(pieces == whole);
    return whole;
}

} // namespace

TEST_CASE("console text: what is harmless stays") {
    CHECK(safe("plain text,\ttabs\nand lines\n") == "plain text,\ttabs\nand lines\n");
    CHECK(safe("Grüße, 漢字, 🙂, \u00a0") == "Grüße, 漢字, 🙂, \u00a0");
}

TEST_CASE("console text: line ends lose their carriage returns, others are shown") {
    CHECK(safe("one\r\ntwo\r\r\nthree") == "one\ntwo\nthree");
    CHECK(safe("real\rfake\n") == "real^Mfake\n");
    CHECK(safe("a\r\rb") == "a^M^Mb");
}

TEST_CASE("console text: control characters are shown, not sent") {
    CHECK(safe("\x1b[2J\x07\x7f"s) == "^[[2J^G^?");
    CHECK(safe("\0\x1e\x0b"s) == "^@^^^K");
    CHECK(safe("\x9b"
               "2J") == "\\x9b2J");
    CHECK(safe("\xc2\x9b"
               "2J") == "\\x9b2J");
    CHECK(safe("\xc2\r\x9b"
               "2J\n") == "\\xc2^M\\x9b2J\n");
}

TEST_CASE("console text: bytes that are no UTF-8 are shown as numbers") {
    CHECK(safe("\xff\xfe\xc0\xf5") == "\\xff\\xfe\\xc0\\xf5");
    CHECK(safe("\xe2 x") == "\\xe2 x");
    CHECK(safe("\xe2\x82\xac\x9b") == "€\\x9b");
    CHECK(safe("\xe2\x82\r\x9b\n") == "\xe2\x82^M\\x9b\n");
}

TEST_CASE("console text: a line is finished once") {
    SafeText filter;
    std::string text;
    filter.finish_line(text);
    CHECK(text.empty());
    filter.feed("login: \xc3", text);
    filter.finish_line(text);
    filter.finish_line(text);
    filter.feed("next\n", text);
    filter.finish_line(text);
    CHECK(text == "login: \\xc3\nnext\n");
}

TEST_CASE("console queue: keeps the newest bytes and counts the lost ones") {
    ByteQueue queue(8);
    CHECK(queue.push("abcd") == 0);
    CHECK(queue.push("efgh") == 0);
    CHECK(queue.push("ij") == 2);
    CHECK(queue.bytes() == "cdefghij");
    queue.pop(3);
    CHECK(queue.bytes() == "fghij");
    CHECK(queue.push("0123456789") == 7);
    CHECK(queue.bytes() == "23456789");
    queue.pop(8);
    CHECK(queue.empty());
    CHECK(queue.push("0123456789") == 2);
    CHECK(queue.bytes() == "23456789");
}

TEST_CASE("console allowance: a flood waits for the next period, a trickle never does") {
    Allowance flood;
    std::uint64_t now = 1'000'000;
    unsigned turns = 0;
    while (flood.use(now)) ++turns;
    CHECK(turns == Allowance::turns_per_period);
    CHECK_FALSE(flood.use(now + Allowance::period_us - 1));
    CHECK(flood.use(now + Allowance::period_us));

    Allowance trickle;
    for (unsigned turn = 0; turn < 10 * Allowance::turns_per_period; ++turn)
        CHECK(trickle.use(now += Allowance::period_us / Allowance::turns_per_period + 1));
}
