// SPDX-License-Identifier: GPL-2.0-only
#include "lib/panic.hpp"

namespace streak {

void panic_message(const char* file, unsigned line, const char* text) {
    if (text) log_emergency("panic: {}", text);
    if (file) log_emergency("at {}:{}", file, line);
    panic_machine();
}

} // namespace streak

// What the library calls when a bounds check of _GLIBCXX_ASSERTIONS fails.
namespace std {
void __glibcxx_assert_fail(const char* file, int line, const char* function, const char* condition) noexcept {
    streak::log_emergency("in {}: {}", function ? function : "?", condition ? condition : "?");
    streak::panic_message(file, static_cast<unsigned>(line), "assertion of the library failed");
}

// std::string_view's checked functions.
void __throw_out_of_range_fmt(const char* format, ...) {
    streak::panic("out of range in the library: {}", format);
}
} // namespace std

extern "C" [[noreturn]] void __cxa_pure_virtual() { streak::panic("pure virtual function called"); }
