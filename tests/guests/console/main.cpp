// SPDX-License-Identifier: GPL-2.0-only
//
// The story: the emergency console is the first thing a kernel uses. A hypervisor that trusts the count
// overruns a buffer; one that trusts the address leaks or dies. Writes of every small size have to succeed,
// strange characters must not upset it, reads with nothing typed give 0, unknown commands give -ENOSYS.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

long console_io(int command, unsigned count, void* buffer) {
    return hypercall(__HYPERVISOR_console_io, command, count, buffer);
}

} // namespace

GUEST("console") {
    char text[] = "one whole line\n";
    expect_eq(console_io(CONSOLEIO_write, sizeof(text) - 1, text), 0, "a line is written");
    char part[] = "in two ", rest[] = "parts\n";
    expect_eq(console_io(CONSOLEIO_write, sizeof(part) - 1, part), 0, "a line without its end is kept");
    expect_eq(console_io(CONSOLEIO_write, sizeof(rest) - 1, rest), 0, "and completed");
    expect_eq(console_io(CONSOLEIO_write, 0, text), 0, "nothing is written");
    expect_eq(console_io(CONSOLEIO_write, 0, nullptr), 0, "nothing is written from nowhere");

    auto* page = reinterpret_cast<char*>(alloc_pages(2));
    for (unsigned i = 0; i < 2 * page_size; ++i) page[i] = i % 64 == 63 ? '\n' : static_cast<char>('a' + i % 26);
    expect_eq(console_io(CONSOLEIO_write, 640, page + page_size - 320), 0, "a write across two pages");
    char odd[] = "odd:\x01\x7f\x80\xff\t\r\n";
    expect_eq(console_io(CONSOLEIO_write, sizeof(odd) - 1, odd), 0, "characters that are no text");

    expect_eq(console_io(CONSOLEIO_write, 16, nullptr), -XEN_EFAULT, "a write from address 0");
    expect_eq(console_io(CONSOLEIO_write, 16, reinterpret_cast<void*>(0x8000000000000000)), -XEN_EFAULT,
              "a write from a non-canonical address");
    expect_eq(console_io(CONSOLEIO_write, 16, reinterpret_cast<void*>(HYPERVISOR_VIRT_END - 8)), -XEN_EFAULT,
              "a write from the hypervisor's own addresses");

    char input[16] = {};
    expect_eq(console_io(CONSOLEIO_read, sizeof(input), input), 0, "a read with nothing typed");
    expect_eq(console_io(2, sizeof(input), input), -XEN_ENOSYS, "an unknown command");
    expect_eq(console_io(-1, sizeof(input), input), -XEN_ENOSYS, "a negative command");
}
