// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

#include "lib/errno.hpp"

// Errors as people read them: what failed, what was expected, what was found, and what to do about it.

namespace streak::base {

/// What sort of failure it is; decides the exit status of `streak` (docs/cli.md) and the HTTP status (docs/api.md).
enum class ErrorKind : std::uint8_t {
    usage,       ///< the request makes no sense as written
    invalid,     ///< a definition, kernel or value that can't be used
    not_found,   ///< no such domain, device or file
    conflict,    ///< it exists already, or its state forbids it
    refused,     ///< permission, quota, policy
    resources,   ///< memory, ports, disk space: too little
    unavailable, ///< a daemon, module or hypervisor interface is not there
    timeout,     ///< the guest or a backend did not answer
    internal,    ///< our own fault
};

struct Error {
    ErrorKind kind = ErrorKind::internal;
    std::string what;
    std::string expected{};
    std::string found{};
    std::string remedy{};

    /// One sentence after the other, those that are empty left out.
    [[nodiscard]] std::string text() const {
        std::string all = what;
        if (!expected.empty()) all += "; expected " + expected;
        if (!found.empty()) all += "; found " + found;
        if (!remedy.empty()) all += ". " + remedy;
        return all;
    }
    bool operator==(const Error&) const = default;
};

template <class T = void> using Outcome = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> error(ErrorKind kind, std::string what, std::string expected = {},
                                                  std::string found = {}, std::string remedy = {}) {
    return std::unexpected(Error{kind, std::move(what), std::move(expected), std::move(found), std::move(remedy)});
}

/// The text of a hypervisor's error code, such as "no such domain (ESRCH)".
[[nodiscard]] std::string describe(Errno code);
/// The name alone, such as "ESRCH".
[[nodiscard]] std::string name_of(Errno code);
/// `errno` of the C library as text, with its name.
[[nodiscard]] std::string system_error(int code);

/// A failed hypercall as an error of `what`; the kind follows from the code.
[[nodiscard]] std::unexpected<Error> hypercall_error(std::string what, Errno code);
/// A failed system call as an error of `what`; the kind follows from `code`.
[[nodiscard]] std::unexpected<Error> errno_error(std::string what, int code);

} // namespace streak::base
