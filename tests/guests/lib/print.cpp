// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/print.hpp"

#include "tests/guests/lib/hypercall.hpp"

namespace guest {

namespace {
using Sink = void (*)(const char* text, unsigned length);
constinit Sink line_sink = nullptr;
} // namespace

void send_lines_to(void (*sink)(const char* text, unsigned length)) { line_sink = sink; }

Line::~Line() {
    text_[length_++] = '\n';
    if (line_sink) line_sink(text_, length_);
    else hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, length_, text_);
}

void Line::put(char c) {
    if (length_ < sizeof(text_) - 1) text_[length_++] = c;
}

Line& Line::operator<<(std::string_view text) {
    for (char c : text) put(c);
    return *this;
}

Line& Line::operator<<(Hex number) {
    *this << "0x";
    int shift = 60;
    while (shift > 0 && (number.value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) put("0123456789abcdef"[(number.value >> shift) & 15]);
    return *this;
}

Line& Line::unsigned_decimal(u64 number) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) put(digits[--count]);
    return *this;
}

Line& Line::decimal(std::int64_t number) {
    if (number < 0) put('-');
    return unsigned_decimal(number < 0 ? 0 - static_cast<u64>(number) : static_cast<u64>(number));
}

} // namespace guest
