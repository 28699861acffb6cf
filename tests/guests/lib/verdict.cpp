// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/verdict.hpp"

#include "tests/guests/lib/hypercall.hpp"

namespace guest {

namespace {

constinit unsigned checks = 0;
constinit unsigned failures = 0;

} // namespace

bool expect(bool holds, std::string_view text) {
    ++checks;
    if (!holds) {
        ++failures;
        Line() << "FAIL: " << text;
    }
    return holds;
}

bool expect_value(std::int64_t actual, std::int64_t wanted, std::string_view text) {
    ++checks;
    if (actual == wanted) return true;
    ++failures;
    Line() << "FAIL: " << text << ": got " << actual << " (" << Hex{static_cast<u64>(actual)} << "), wanted " << wanted
           << " (" << Hex{static_cast<u64>(wanted)} << ")";
    return false;
}

bool expect_error(long result, std::string_view text) {
    if (result < 0 && result >= -200) return expect(true, text);
    Line() << "result " << result << " where an error was due";
    return expect(false, text);
}

void power_off() {
    sched_shutdown_t request = {.reason = SHUTDOWN_poweroff};
    for (;;) sched_op(SCHEDOP_shutdown, &request);
}

void conclude() {
    if (failures != 0) Line() << "VERDICT: FAILURE " << guest_name << ": " << failures << " of " << checks << " checks";
    else Line() << "VERDICT: SUCCESS " << guest_name << ": " << checks << " checks";
    power_off();
}

void skip(std::string_view reason) {
    Line() << "VERDICT: SKIP " << guest_name << ": " << reason;
    power_off();
}

void error(std::string_view reason) {
    Line() << "VERDICT: ERROR " << guest_name << ": " << reason;
    power_off();
}

} // namespace guest
