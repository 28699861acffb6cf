// SPDX-License-Identifier: GPL-2.0-only

// Emulated page-table writes: the instructions are executed by the processor as well, and must agree.

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "pv/ptwr_decode.hpp"

using namespace streak;
using namespace streak::pv;

namespace {

constexpr u64 flags_mask = 0x8d5, logic_mask = 0x8c5; // AF is undefined after logic

struct State {
    u64 rax, rcx, rdx, rflags, memory;
};

/// Runs `code` (memory operand (%rdi)) on this processor.
State execute(const std::vector<u8>& code, State s) {
    static u8* page = [] {
        void* p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(p != MAP_FAILED);
        return static_cast<u8*>(p);
    }();
    std::memcpy(page, code.data(), code.size());
    page[code.size()] = 0xc3;
    u64 flags = 0x202 | (s.rflags & flags_mask);
    asm volatile("sub $128, %%rsp\n push %[f]\n popf\n call *%[code]\n pushf\n pop %[f]\n add $128, %%rsp"
                 : [f] "+r"(flags), "+a"(s.rax), "+c"(s.rcx), "+d"(s.rdx)
                 : [code] "r"(page), "D"(&s.memory)
                 : "memory", "cc");
    s.rflags = flags & flags_mask;
    return s;
}

void compare(const std::vector<u8>& code, u64 defined_flags, std::mt19937_64& random) {
    INFO("opcode " << std::hex << int(code[0]) << " " << int(code[1]));
    const auto decoded = decode_ptwr(code);
    REQUIRE(decoded);
    REQUIRE(decoded->length == code.size());
    REQUIRE_FALSE(decode_ptwr(std::span(code).first(code.size() - 1)));
    for (unsigned i = 0; i < 50; ++i) {
        State before{random(), random(), random(), random() & flags_mask, random()};
        if (i % 2) // make cmpxchg succeed now and then
            before.rax = before.memory;
        if (i % 5 == 0) before.rdx = u64(0) - before.memory;
        const State want = execute(code, before);

        arch::Registers regs{};
        regs.rax = before.rax, regs.rcx = before.rcx, regs.rdx = before.rdx, regs.rflags = before.rflags;
        const u64 mask = decoded->bytes == 8 ? ~0ull : (1ull << (8 * decoded->bytes)) - 1;
        const PtwrEffect effect = apply_ptwr(*decoded, regs, before.memory & mask, 0);
        REQUIRE((effect.value & ~mask) == 0);
        const u64 memory = effect.write ? (before.memory & ~mask) | effect.value : before.memory;
        REQUIRE(memory == want.memory);
        REQUIRE(effect.regs.rax == want.rax);
        REQUIRE(effect.regs.rcx == want.rcx);
        REQUIRE(effect.regs.rdx == want.rdx);
        REQUIRE(effect.regs.rip == code.size());
        REQUIRE((effect.regs.rflags & defined_flags) == (want.rflags & defined_flags));
    }
}

} // namespace

TEST_CASE("ptwr: instructions agree with the processor") {
    std::mt19937_64 random(7);
    using Code = std::vector<u8>;
    const Code prefixes[] = {{}, {0x48}, {0x66}};
    for (const Code& p : prefixes) {
        const auto with = [&](std::initializer_list<u8> rest, unsigned immediate = 0) {
            Code code = p;
            code.insert(code.end(), rest);
            for (unsigned i = 0; i < (immediate == 4 && !p.empty() && p[0] == 0x66 ? 2 : immediate); ++i)
                code.push_back(static_cast<u8>(random()));
            return code;
        };
        compare(with({0x89, 0x17}), flags_mask, random);       // mov %edx, (%rdi)
        compare(with({0xc7, 0x07}, 4), flags_mask, random);    // mov $imm, (%rdi)
        compare(with({0x87, 0x17}), flags_mask, random);       // xchg
        compare(with({0x0f, 0xc1, 0x17}), flags_mask, random); // xadd
        compare(with({0x0f, 0xb1, 0x17}), flags_mask, random); // cmpxchg
        compare(with({0x01, 0x17}), flags_mask, random);
        compare(with({0x29, 0x17}), flags_mask, random);
        compare(with({0x09, 0x17}), logic_mask, random);
        compare(with({0x21, 0x17}), logic_mask, random);
        compare(with({0x31, 0x17}), logic_mask, random);
        compare(with({0x81, 0x27}, 4), logic_mask, random); // and $imm
        compare(with({0x83, 0x27}, 1), logic_mask, random);
        compare(with({0x83, 0x07}, 1), flags_mask, random); // add $imm8
        compare(with({0x83, 0x2f}, 1), flags_mask, random); // sub
        for (u8 reg : {0x2f, 0x37, 0x3f})                   // bts, btr, btc $imm
            compare(with({0x0f, 0xba, reg}, 1), 1, random);
    }
    for (const Code& code : {Code{0x88, 0x17}, Code{0x88, 0x37}, Code{0xc6, 0x07, 0x5a}, Code{0x80, 0x27, 0xfd},
                             Code{0x86, 0x37}, Code{0x0f, 0xb0, 0x37}, Code{0x0f, 0xc0, 0x17}, Code{0x30, 0x37}})
        compare(code, logic_mask, random);
}

TEST_CASE("ptwr: addressing forms and prefixes") {
    const auto length = [](std::vector<u8> code) {
        const auto i = decode_ptwr(code);
        return i ? int(i->length) : -1;
    };
    CHECK(length({0x48, 0x89, 0x44, 0xd7, 0x08}) == 5);             // mov %rax, 8(%rdi,%rdx,8)
    CHECK(length({0x48, 0x89, 0x05, 1, 2, 3, 4}) == 7);             // rip-relative
    CHECK(length({0x48, 0x89, 0x04, 0x25, 1, 2, 3, 4}) == 8);       // absolute
    CHECK(length({0x49, 0x89, 0x84, 0x24, 1, 2, 3, 4}) == 8);       // disp32(%r12)
    CHECK(length({0xf0, 0x48, 0x0f, 0xb1, 0x0f}) == 5);             // lock cmpxchg
    CHECK(length({0xf0, 0x80, 0x67, 0x01, 0xfd}) == 5);             // lock andb $-3, 1(%rdi)
    CHECK(length({0x3e, 0xf0, 0x48, 0x0f, 0xba, 0x37, 0x05}) == 7); // lock btrq $5
    CHECK(length({0x48, 0x0f, 0xc3, 0x07}) == 4);                   // movnti
    CHECK(decode_ptwr(std::vector<u8>{0x4c, 0x89, 0x17})->reg == 10);
    CHECK(decode_ptwr(std::vector<u8>{0x40, 0x88, 0x27})->high_byte == false); // spl, not ah
}

TEST_CASE("ptwr: what is refused") {
    for (const std::vector<u8>& code : {std::vector<u8>{0x48, 0x89, 0xc7}, // a register destination
                                        {0xff, 0x37},
                                        {0x0f, 0x0b},
                                        {0x8b, 0x07},
                                        {0x83, 0x3f, 1},
                                        {0x0f, 0xba, 0x27, 1},
                                        {0x0f, 0xc7, 0x0f},
                                        {0x83, 0x17, 1},
                                        {},
                                        {0x48},
                                        {0x66}})
        CHECK_FALSE(decode_ptwr(code));
    CHECK_FALSE(decode_ptwr(std::vector<u8>(15, 0x66)));
}

TEST_CASE("ptwr: string instructions go step by step") {
    arch::Registers regs{};
    regs.rax = 0x1122334455667788, regs.rcx = 2, regs.rdi = 0x1000, regs.rsi = 0x2000, regs.rip = 0x500;
    const auto stos = decode_ptwr(std::vector<u8>{0xf3, 0x48, 0xab});
    REQUIRE(stos);
    PtwrEffect e = apply_ptwr(*stos, regs, 0, 0);
    CHECK(e.value == regs.rax);
    CHECK(e.regs.rdi == 0x1008);
    CHECK(e.regs.rcx == 1);
    CHECK(e.regs.rip == 0x500);
    e = apply_ptwr(*stos, e.regs, 0, 0);
    CHECK(e.regs.rip == 0x503);
    const auto movs = decode_ptwr(std::vector<u8>{0x48, 0xa5});
    regs.rflags = arch::rflags::df;
    e = apply_ptwr(*movs, regs, 0, 0xabc);
    CHECK(e.value == 0xabc);
    CHECK(e.regs.rsi == 0x1ff8);
    CHECK(e.regs.rcx == 2);
}

TEST_CASE("ptwr: random bytes never confuse the decoder") {
    std::mt19937 random(3);
    for (unsigned i = 0; i < 200000; ++i) {
        std::vector<u8> code(random() % 16);
        for (u8& b : code) b = static_cast<u8>(random());
        if (const auto found = decode_ptwr(code)) {
            REQUIRE(found->length <= code.size());
            REQUIRE((found->bytes == 1 || found->bytes == 2 || found->bytes == 4 || found->bytes == 8));
            (void)apply_ptwr(*found, arch::Registers{}, 0, 0);
        }
    }
}
