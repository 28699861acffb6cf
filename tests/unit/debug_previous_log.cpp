// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstring>

#include "debug/previous_log.hpp"
#include "fake_port.hpp"
#include "lib/panic_record.hpp"

using namespace streak;
using debug::previous_log;
using test::FakePort;

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t place = PanicRecord::place(384 * mib);

struct Host {
    FakePort port{0x4000};
    PanicRecord record{};

    Host() {
        port.machine_map = {{0, 640 << 10, 1}, {mib, 383 * mib, 1}, {384 * mib, mib, 3}, {4096 * mib, 1024 * mib, 1}};
        for (std::uint64_t i = 0; i < PanicRecord::page_count; ++i) port.shown.insert((place >> 12) + i);
        record.mark = PanicRecord::mark_of_all;
        record.boots = 1;
        say("the end\n");
        record.checksum = record.sum();
    }
    ~Host() {
        CHECK(port.buffers() == 0);
        CHECK(port.mappings() == 0);
    }
    void say(std::string_view text) {
        std::ranges::copy(text, record.text.begin());
        record.bytes = static_cast<std::uint32_t>(text.size());
    }
    void store() {
        for (std::uint64_t i = 0; i < PanicRecord::page_count; ++i)
            std::memcpy(port.frame((place >> 12) + i).data(), reinterpret_cast<const char*>(&record) + i * page_size,
                        page_size);
    }
    void expect_none() {
        store();
        const auto log = previous_log(port);
        REQUIRE_FALSE(log);
        CHECK(log.error().kind == base::ErrorKind::not_found);
    }
};

} // namespace

TEST_CASE("the place of a panic's log is the same for maps that differ a little", "[debug]") {
    CHECK(PanicRecord::place(512 * mib) == 384 * mib);
    CHECK(PanicRecord::place(512 * mib - 9 * 4096) == PanicRecord::place(512 * mib - 100 * 4096));
    CHECK(PanicRecord::place(4096 * mib) == 3072 * mib);
}

TEST_CASE("the log of a panic is read from memory", "[debug]") {
    Host host;
    host.store();
    const auto log = previous_log(host.port);
    REQUIRE(log);
    CHECK(log->text == "the end\n");
    CHECK(log->boots == 1);
}

TEST_CASE("what is no log of a panic is told as none", "[debug]") {
    Host host;
    SECTION("no mark") { host.record.mark = 0; }
    SECTION("text that changed") { host.record.text[3] ^= 1; }
    SECTION("a length beyond the end") { host.record.bytes = ~0u; }
    SECTION("a length that changed") { host.record.bytes = 3; }
    SECTION("memory that nobody shows") { host.port.shown.clear(); }
    host.expect_none();
}

TEST_CASE("calls that fail while a panic's log is read", "[debug]") {
    Host host;
    host.store();
    for (unsigned n = 1; n <= 2; ++n) {
        host.port.fail_call(n, Errno::EPERM);
        CHECK_FALSE(previous_log(host.port));
        host.port.forget_calls();
    }
}
