// SPDX-License-Identifier: GPL-2.0-only
// From the entry point to the test: page helpers, shared page, trap table, kernel stack.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

namespace guest {

EntryRegisters entry_registers __attribute__((section(".data"))) = {};

namespace {

constinit const start_info_t* info = nullptr;
constinit Page shared_window = {};

} // namespace

const start_info_t& boot_info() { return *info; }

shared_info_t& shared_page() { return reinterpret_cast<shared_info_t&>(shared_window); }

extern "C" [[noreturn]] void guest_start(const start_info_t* start_info) {
    info = start_info;
    Line() << "guest " << guest_name;
    init_paging();
    const u64 entry = start_info->shared_info | pte_rw;
    if (update_va_mapping(std::bit_cast<u64>(&shared_window), entry) != 0) error("the shared page cannot be mapped");
    install_traps();
    if (hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, trap_stack_end) != 0) error("stack_switch is refused");
    run();
    conclude();
}

// What the compiler calls for aggregates; there is no library here.
extern "C" {

void* memset(void* destination, int value, unsigned long size) {
    void* at = destination;
    asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
    return destination;
}

void* memcpy(void* destination, const void* source, unsigned long size) {
    void* at = destination;
    asm volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(size) : : "memory");
    return destination;
}

void* memmove(void* destination, const void* source, unsigned long size) {
    auto* to = static_cast<char*>(destination);
    auto* from = static_cast<const char*>(source);
    if (to <= from) return memcpy(destination, source, size);
    for (unsigned long i = size; i > 0; --i) asm volatile("movb %1, %0" : "=m"(to[i - 1]) : "q"(from[i - 1]));
    return destination;
}

int memcmp(const void* a, const void* b, unsigned long size) {
    auto* left = static_cast<const u8*>(a);
    auto* right = static_cast<const u8*>(b);
    for (unsigned long i = 0; i < size; ++i)
        if (left[i] != right[i]) return left[i] - right[i];
    return 0;
}

const void* memchr(const void* memory, int value, unsigned long size) {
    auto* at = static_cast<const u8*>(memory);
    for (; size > 0; ++at, --size)
        if (*at == static_cast<u8>(value)) return at;
    return nullptr;
}

unsigned long strlen(const char* text) {
    unsigned long length = 0;
    while (text[length] != 0) ++length;
    return length;
}
}

} // namespace guest
