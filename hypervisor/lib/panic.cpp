// SPDX-License-Identifier: GPL-2.0-only
#include "lib/panic.hpp"

namespace streak {

void panic_message(const char* file, unsigned line, const char* text) {
    hurry_log();
    if (text) log_emergency("panic: {}", text);
    if (file) log_emergency("at {}:{}", file, line);
    panic_machine();
}

void library_check_failed() { panic("a bounds check of the standard library failed"); }

} // namespace streak

namespace std {
// std::string_view's checked functions.
void __throw_out_of_range_fmt(const char* format, ...) { streak::panic("out of range in the library: {}", format); }
} // namespace std

extern "C" [[noreturn]] void __cxa_pure_virtual() { streak::panic("pure virtual function called"); }
