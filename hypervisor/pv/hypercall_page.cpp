// SPDX-License-Identifier: GPL-2.0-only
#include "pv/hypercall_page.hpp"

#include <array>
#include <cstring>

#include "domain/held_frame.hpp"

namespace streak::pv {

namespace {

constexpr std::size_t entry_bytes = 32;
constexpr u8 int3 = 0xcc;

// push rcx; push r11; mov eax, n; syscall; pop r11; pop rcx; ret
constexpr std::array<u8, 14> call_code{0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3};
// The frame of iret has rax, r11 and rcx on top: push rcx; push r11; push rax; mov eax, n; syscall
constexpr std::array<u8, 11> iret_code{0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05};

template <std::size_t N> void put(u8* at, std::array<u8, N> code, std::size_t number_offset, u32 number) {
    std::memcpy(code.data() + number_offset, &number, sizeof number);
    std::copy(code.begin(), code.end(), at);
}

} // namespace

void write_hypercall_page(u8* page) {
    std::memset(page, int3, page_size);
    for (u32 n = 0; n < page_size / entry_bytes; ++n) {
        if (n == __HYPERVISOR_iret) put(page + n * entry_bytes, iret_code, 5, n);
        else put(page + n * entry_bytes, call_code, 4, n);
    }
}

bool fill_hypercall_page(const Domain& owner, Mfn frame) {
    const HeldFrame page(owner, frame, true);
    if (page) write_hypercall_page(page.memory<u8>());
    return static_cast<bool>(page);
}

} // namespace streak::pv
