// SPDX-License-Identifier: GPL-2.0-only
#include "arch/cmos.hpp"

#include "arch/io.hpp"

namespace streak::cmos {

namespace {

struct Reading {
    u8 second, minute, hour, day, month, year;
    bool operator==(const Reading&) const = default;
};

constexpr u8 status_a = 0x0a, status_b = 0x0b;
constexpr u8 updating = 0x80, hours_24 = 0x02, binary = 0x04;

Reading read_all() { return {read(0), read(2), read(4), read(7), read(8), read(9)}; }

unsigned decode(u8 value, bool is_binary) { return is_binary ? value : (value >> 4) * 10u + (value & 15u); }

/// Days from 1970-01-01 to the first of a month (Gregorian calendar, year >= 1970).
u64 days_before(unsigned year, unsigned month) {
    constexpr u16 before_month[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const unsigned past = year - 1;
    const u64 leap_days = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (year - 1970) * 365ull + leap_days + before_month[month - 1] + (leap && month > 2 ? 1 : 0);
}

} // namespace

u8 read(u8 index) {
    arch::out8(0x70, static_cast<u8>(index | 0x80)); // bit 7: NMI stays off while the index is set
    const u8 value = arch::in8(0x71);
    arch::out8(0x70, 0);
    return value;
}

u64 read_seconds() {
    // Two equal readings, both outside an update, can't be torn. An update takes 2 ms at most.
    Reading now{}, again{};
    for (unsigned i = 0; i < 100'000; ++i) {
        if ((read(status_a) & updating) != 0) continue;
        now = read_all();
        again = read_all();
        if ((read(status_a) & updating) == 0 && now == again) break;
    }
    const u8 mode = read(status_b);
    const bool is_binary = (mode & binary) != 0;
    const bool afternoon = (now.hour & 0x80) != 0;
    unsigned hour = decode(now.hour & 0x7f, is_binary);
    if ((mode & hours_24) == 0) hour = hour % 12 + (afternoon ? 12 : 0);
    const unsigned month = decode(now.month, is_binary), day = decode(now.day, is_binary);
    const unsigned two_digits = decode(now.year, is_binary);
    const unsigned year = two_digits + (two_digits < 70 ? 2000 : 1900);
    if (month < 1 || month > 12 || day < 1 || day > 31) return 0;
    return ((days_before(year, month) + day - 1) * 24 + hour) * 3600ull + decode(now.minute, is_binary) * 60 +
           decode(now.second, is_binary);
}

} // namespace streak::cmos
