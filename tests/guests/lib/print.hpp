// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <concepts>
#include <string_view>

#include "tests/guests/lib/boot.hpp"

namespace guest {

/// A value to be printed in hexadecimal.
struct Hex {
    u64 value;
};

/// Where lines go instead of the hypervisor's console, which is the control domain's alone.
void send_lines_to(void (*sink)(const char* text, unsigned length));

/// One line of output, sent to the hypervisor's console when it goes out of scope.
class Line {
public:
    Line() = default;
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    ~Line();

    Line& operator<<(std::string_view text);
    Line& operator<<(const char* text) { return *this << std::string_view(text); }
    Line& operator<<(Hex number);
    template <std::signed_integral T> Line& operator<<(T number) { return decimal(number); }
    template <std::unsigned_integral T> Line& operator<<(T number) {
        return unsigned_decimal(static_cast<u64>(number));
    }

private:
    Line& decimal(std::int64_t number);
    Line& unsigned_decimal(u64 number);
    void put(char c);

    char text_[256];
    unsigned length_ = 0;
};

} // namespace guest
