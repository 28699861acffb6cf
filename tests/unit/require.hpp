// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace streak::test {

/// What an oracle found wrong: a failed test case, and the end of a fuzzer's run.
struct OracleError : std::logic_error {
    using std::logic_error::logic_error;
};

[[noreturn, gnu::cold]] inline void disagree(std::source_location where) {
    throw OracleError("oracle: " + std::string(where.file_name()) + ":" + std::to_string(where.line()) + ": " +
                      where.function_name());
}

/// A condition that oracles of unit tests and fuzzers share.
inline void require(bool condition, std::source_location where = std::source_location::current()) {
    if (!condition) [[unlikely]]
        disagree(where);
}

} // namespace streak::test
