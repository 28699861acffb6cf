// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <initializer_list>
#include <vector>

#include "pv/privop_decode.hpp"

using namespace streak;
using namespace streak::pv;

namespace {

Decoded decode(std::initializer_list<u8> bytes, bool long_mode = true) {
    std::vector<u8> padded(bytes);
    padded.resize(longest_instruction, 0x90);
    return decode_privop(padded, long_mode);
}

Decoded decode_exactly(std::initializer_list<u8> bytes, bool long_mode = true) {
    return decode_privop(std::vector<u8>(bytes), long_mode);
}

} // namespace

TEST_CASE("ports by immediate and by dx, in all sizes") {
    Decoded d = decode({0xe4, 0x71});
    CHECK(d.op == PrivOp::in);
    CHECK(d.length == 2);
    CHECK(d.operand_bytes == 1);
    CHECK(d.immediate == 0x71);
    CHECK_FALSE(d.port_in_dx);

    d = decode({0x66, 0xe7, 0x10});
    CHECK(d.op == PrivOp::out);
    CHECK(d.length == 3);
    CHECK(d.operand_bytes == 2);

    d = decode({0xed});
    CHECK(d.op == PrivOp::in);
    CHECK(d.operand_bytes == 4);
    CHECK(d.port_in_dx);
    CHECK(d.length == 1);

    d = decode({0xee});
    CHECK(d.op == PrivOp::out);
    CHECK(d.operand_bytes == 1);

    d = decode({0x48, 0xef}); // REX.W makes no 64-bit port access
    CHECK(d.op == PrivOp::out);
    CHECK(d.operand_bytes == 4);
    CHECK(d.length == 2);
}

TEST_CASE("string port operations carry their prefixes") {
    Decoded d = decode({0xf3, 0x6c});
    CHECK(d.op == PrivOp::ins);
    CHECK(d.repeat);
    CHECK(d.operand_bytes == 1);
    CHECK(d.address_bytes == 8);

    d = decode({0x65, 0x67, 0x66, 0xf3, 0x6f});
    CHECK(d.op == PrivOp::outs);
    CHECK(d.operand_bytes == 2);
    CHECK(d.address_bytes == 4);
    CHECK(d.segment == SegmentOverride::gs);
    CHECK(d.length == 5);

    d = decode({0x64, 0x3e, 0x6e}); // the last segment prefix counts
    CHECK(d.segment == SegmentOverride::none);
    CHECK_FALSE(d.repeat);
}

TEST_CASE("control and debug registers") {
    Decoded d = decode({0x0f, 0x20, 0xd8});
    CHECK(d.op == PrivOp::read_cr);
    CHECK(d.special == 3);
    CHECK(d.gpr == 0);
    CHECK(d.length == 3);

    d = decode({0x41, 0x0f, 0x22, 0xe7});
    CHECK(d.op == PrivOp::write_cr);
    CHECK(d.special == 4);
    CHECK(d.gpr == 15);

    d = decode({0x44, 0x0f, 0x20, 0xc1});
    CHECK(d.special == 8);
    CHECK(d.gpr == 1);

    d = decode({0x0f, 0x20, 0x18}); // the mod field does not count
    CHECK(d.op == PrivOp::read_cr);
    CHECK(d.length == 3);

    d = decode({0x0f, 0x23, 0xf8});
    CHECK(d.op == PrivOp::write_dr);
    CHECK(d.special == 7);
    CHECK(decode({0x0f, 0x21, 0xc3}).op == PrivOp::read_dr);
    CHECK(decode({0x44, 0x0f, 0x21, 0xc3}).op == PrivOp::none);
}

TEST_CASE("instructions without operands") {
    CHECK(decode({0x0f, 0x06}).op == PrivOp::clts);
    CHECK(decode({0x0f, 0x08}).op == PrivOp::invalidate_caches);
    CHECK(decode({0x0f, 0x09}).op == PrivOp::invalidate_caches);
    CHECK(decode({0xf3, 0x0f, 0x09}).op == PrivOp::invalidate_caches);
    CHECK(decode({0x0f, 0x30}).op == PrivOp::write_msr);
    CHECK(decode({0x0f, 0x31}).op == PrivOp::read_tsc);
    CHECK(decode({0x0f, 0x32}).op == PrivOp::read_msr);
    CHECK(decode({0x0f, 0xa2}).op == PrivOp::cpuid);
    CHECK(decode({0xfa}).op == PrivOp::cli);
    CHECK(decode({0xfb}).op == PrivOp::sti);
    CHECK(decode({0x0f, 0x01, 0xd1}).op == PrivOp::set_xcr);
    CHECK(decode({0x0f, 0x01, 0xf9}).op == PrivOp::read_tscp);
    CHECK(decode({0x0f, 0x01, 0xf9}).length == 3);
}

TEST_CASE("machine status word, register forms") {
    Decoded d = decode({0x0f, 0x01, 0xf0});
    CHECK(d.op == PrivOp::lmsw);
    CHECK(d.gpr == 0);
    d = decode({0x49, 0x0f, 0x01, 0xe1});
    CHECK(d.op == PrivOp::smsw);
    CHECK(d.gpr == 9);
    CHECK(d.operand_bytes == 8);
    CHECK(decode({0x66, 0x0f, 0x01, 0xe1}).operand_bytes == 2);
    CHECK(decode({0x0f, 0x01, 0x30}).op == PrivOp::none);
}

TEST_CASE("what is left to the guest") {
    CHECK(decode({0x0f, 0x01, 0x18}).op == PrivOp::none); // LIDT
    CHECK(decode({0x0f, 0x01, 0x10}).op == PrivOp::none); // LGDT
    CHECK(decode({0x0f, 0x01, 0xd0}).op == PrivOp::none); // XGETBV
    CHECK(decode({0x0f, 0x01, 0xf8}).op == PrivOp::none); // SWAPGS
    CHECK(decode({0xf4}).op == PrivOp::none);             // HLT
    CHECK(decode({0x0f, 0x0b}).op == PrivOp::none);
    CHECK(decode({0x90}).op == PrivOp::none);
    CHECK(decode({0xf0, 0x0f, 0x22, 0xc0}).op == PrivOp::none); // LOCK
    CHECK(decode({0xf4}).length == 0);
}

TEST_CASE("software interrupts show their vector") {
    Decoded d = decode({0xcd, 0x80});
    CHECK(d.op == PrivOp::software_interrupt);
    CHECK(d.immediate == 0x80);
    CHECK(d.length == 2);
    CHECK(decode({0x48, 0xcd, 0x21}).length == 3);
}

TEST_CASE("32-bit code has no REX prefix") {
    CHECK(decode({0x48, 0xed}, false).op == PrivOp::none); // DEC
    const Decoded d = decode({0xf3, 0x6d}, false);
    CHECK(d.op == PrivOp::ins);
    CHECK(d.address_bytes == 4);
}

TEST_CASE("a REX prefix only counts directly before the opcode") {
    const Decoded d = decode({0x41, 0x66, 0x0f, 0x22, 0xc0});
    CHECK(d.op == PrivOp::write_cr);
    CHECK(d.gpr == 0);
}

TEST_CASE("bytes that end too early") {
    CHECK(decode_exactly({}).op == PrivOp::truncated);
    CHECK(decode_exactly({0x0f}).op == PrivOp::truncated);
    CHECK(decode_exactly({0x66, 0x48}).op == PrivOp::truncated);
    CHECK(decode_exactly({0xe4}).op == PrivOp::truncated);
    CHECK(decode_exactly({0xcd}).op == PrivOp::truncated);
    CHECK(decode_exactly({0x0f, 0x22}).op == PrivOp::truncated);
    CHECK(decode_exactly({0xec}).op == PrivOp::in);
    const std::vector<u8> prefixes(40, 0x66);
    CHECK(decode_privop(prefixes, true).op == PrivOp::none);
}

TEST_CASE("no bytes make the decoder read beyond them or report more than 15") {
    u64 state = 0x9e3779b97f4a7c15;
    for (unsigned round = 0; round < 20000; ++round) {
        std::vector<u8> bytes(round % 17);
        for (u8& b : bytes) {
            state = state * 6364136223846793005 + 1442695040888963407;
            b = static_cast<u8>(state >> 56);
        }
        const Decoded d = decode_privop(bytes, round % 2 == 0);
        CHECK(d.length <= longest_instruction);
        CHECK(d.length <= bytes.size());
        CHECK(((d.op == PrivOp::none || d.op == PrivOp::truncated) == (d.length == 0)));
    }
}
