// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>
#include <type_traits>

#include "tests/guests/lib/print.hpp"

/// Names the guest and opens its body: GUEST("traps") { … }.
#define GUEST(name)                                                                                                    \
    extern "C" const char guest_name[] = name;                                                                         \
    void guest::run()

namespace guest {

extern "C" const char guest_name[];

/// The body of the test, defined with GUEST().
void run();

/// Counts a check; prints the text when it does not hold and lets the test go on.
bool expect(bool holds, std::string_view text);

/// As expect(actual == wanted), printing both values when they differ.
bool expect_value(std::int64_t actual, std::int64_t wanted, std::string_view text);

template <typename A, typename B> bool expect_eq(A actual, B wanted, std::string_view text) {
    return expect_value(static_cast<std::int64_t>(actual), static_cast<std::int64_t>(wanted), text);
}

/// As expect_eq, but the test cannot go on without it.
template <typename A, typename B> void require_eq(A actual, B wanted, std::string_view text);

/// Accepts any error (a negative number of errno size), not success and not a stray value.
bool expect_error(long result, std::string_view text);

/// Prints the last line, `VERDICT: SUCCESS|FAILURE name: …`, and powers off.
[[noreturn]] void conclude();

/// Ends the test: what it needs is not there.
[[noreturn]] void skip(std::string_view reason);

/// Ends the test: it could not be carried out.
[[noreturn]] void error(std::string_view reason);

template <typename A, typename B> void require_eq(A actual, B wanted, std::string_view text) {
    if (!expect_eq(actual, wanted, text)) conclude();
}

} // namespace guest
