// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <string>

#include "loader/cmdline.hpp"

using namespace streak::loader;

TEST_CASE("sizes", "[loader][cmdline]") {
    CHECK(parse_size("512M") == 512ull << 20);
    CHECK(parse_size("1g") == 1ull << 30);
    CHECK(parse_size("4096") == 4ull << 20); // KiB
    CHECK(parse_size("0x10k") == 16384);
    CHECK(parse_size("0x1b") == 0x1bull << 10);
    CHECK(parse_size("7B") == 7);
    CHECK(!parse_size(""));
    CHECK(!parse_size("M"));
    CHECK(!parse_size("12x"));
    CHECK(!parse_size("99999999999999999999"));
    CHECK(!parse_size("0xffffffffffffffffT"));
}

TEST_CASE("a usual boot entry", "[loader][cmdline]") {
    const auto o =
        parse_command_line("placeholder dom0_mem=512M,max:1G,min:256M com1=115200,8n1,0x3f8,4 console=com1,vga "
                           "loglvl=all guest_loglvl=none/all dom0_max_vcpus=2 dom0_vcpus_pin maxcpus=0x4 "
                           "noreboot sync_console xpti=off smap=1 x2apic=no no-watchdog cpufreq=xen:performance");
    CHECK(o.unknown.empty());
    CHECK(o.invalid.empty());
    CHECK(o.dom0_memory.amount.bytes == 512ull << 20);
    CHECK(o.dom0_memory.maximum.bytes == 1ull << 30);
    CHECK(o.dom0_memory.minimum.bytes == 256ull << 20);
    CHECK(o.com1.given);
    CHECK(o.com1.io_base == 0x3f8);
    CHECK(o.com1.irq == 4);
    CHECK(o.console_serial);
    CHECK(o.console_vga);
    CHECK(o.log == LogLevel::all);
    CHECK(o.dom0_max_vcpus == 2);
    CHECK(o.dom0_vcpus_pin);
    CHECK(o.max_cpus == 4);
    CHECK(o.no_reboot);
    CHECK(o.speculation.xpti_dom0 == Switch::off);
    CHECK(o.speculation.xpti_domu == Switch::off);
    CHECK(o.smap == Switch::on);
    CHECK(o.smep == Switch::by_default);
    CHECK(!o.x2apic);
}

TEST_CASE("unknown and unreadable words are collected", "[loader][cmdline]") {
    const auto o = parse_command_line("frobnicate=1 bare com1=fast,9q9 dom0_mem=lots console=net loglvl=loud");
    REQUIRE(o.unknown.size() == 2);
    CHECK(o.unknown[0] == "frobnicate=1");
    CHECK(o.unknown[1] == "bare");
    CHECK(o.invalid.size() == 4);
}

TEST_CASE("measures against speculation", "[loader][cmdline]") {
    const auto of = [](const char* line) { return parse_command_line(line).speculation; };
    CHECK(of("xpti").xpti_domu == Switch::on);
    CHECK(of("xpti=dom0=no").xpti_dom0 == Switch::off);
    CHECK(of("xpti=dom0=no").xpti_domu == Switch::by_default);
    CHECK(of("xpti=yes,dom0=off").xpti_dom0 == Switch::off);
    CHECK(of("xpti=yes,dom0=off").xpti_domu == Switch::on);
    CHECK(of("no-xpti xpti=default").xpti_dom0 == Switch::by_default);
    CHECK(of("pcid").pcid == Switch::on);
    CHECK(of("pcid=xpti").pcid == Switch::on);
    CHECK(of("pcid=xpti=no").pcid == Switch::off);
    CHECK(of("pcid=no-xpti").pcid == Switch::off);
    CHECK(of("spec-ctrl=ibpb=no,bti-thunk=lfence").ibpb == Switch::off);
    CHECK(of("spec-ctrl=ibpb=no,bti-thunk=lfence").thunk == Thunk::lfence);
    CHECK(of("spec-ctrl=md-clear=off").md_clear == Switch::off);
    CHECK(of("spec-ctrl=no").thunk == Thunk::jump);
    CHECK(of("spec-ctrl=no").xpti_dom0 == Switch::off);
    CHECK(of("xpti=dom0=yes spec-ctrl=no").xpti_dom0 == Switch::on);
    CHECK(of("spec-ctrl=no,bti-thunk=retpoline").thunk == Thunk::retpoline);

    const auto o = parse_command_line("spec-ctrl=ssbd,ibpb=1 spec-ctrl=bti-thunk=fast xpti=dom0=x,domu=1 pcid=2");
    REQUIRE(o.unknown.size() == 1);
    CHECK(o.unknown[0] == "ssbd");
    CHECK(o.invalid.size() == 3);
    CHECK(o.speculation.ibpb == Switch::on);
    CHECK(o.speculation.xpti_domu == Switch::on);
}

TEST_CASE("quotes, blanks and nothing", "[loader][cmdline]") {
    CHECK(parse_command_line("").unknown.empty());
    CHECK(parse_command_line("  \t ").unknown.empty());
    const auto o = parse_command_line("  nmi=\"fatal\"   \"a b\" \"open");
    CHECK(o.nmi == "fatal");
    REQUIRE(o.unknown.size() == 2);
    CHECK(o.unknown[0] == "\"a b\"");
}

TEST_CASE("more unknown words than fit are counted", "[loader][cmdline]") {
    std::string line;
    for (int i = 0; i < 40; ++i) line += "x ";
    const auto o = parse_command_line(line);
    CHECK(o.unknown.size() == 16);
    CHECK(o.unknown.dropped() == 24);
}

TEST_CASE("how much memory dom0 gets", "[loader][cmdline]") {
    constexpr std::uint64_t gib = 1ull << 30;
    const auto of = [](const char* line) { return parse_command_line(line).dom0_memory; };
    CHECK(of("dom0_mem=512M").resolve(2 * gib) == gib / 2);
    CHECK(of("dom0_mem=4G").resolve(2 * gib) == 2 * gib);
    CHECK(of("dom0_mem=-512M").resolve(2 * gib) == gib + gib / 2);
    CHECK(of("dom0_mem=-4G,min:256M").resolve(2 * gib) == gib / 4);
    CHECK(of("dom0_mem=max:1G").resolve(4 * gib) == gib);
    CHECK(of("").resolve(4 * gib) == 4 * gib - (128ull << 20));
}
