// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/errno.hpp"

// Errors as people read them: what failed, what was expected, what was found, and what to do about it.

namespace streak::base {

/// What sort of failure it is.
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

/// What a kind is called in answers, and what it means elsewhere.
struct KindText {
    std::string_view name;
    int exit_status;      ///< of `streak` (docs/cli.md)
    unsigned http_status; ///< of the API (docs/api.md)
};
inline constexpr KindText kind_texts[] = {{"usage", 2, 400},       {"invalid", 3, 422}, {"not_found", 4, 404},
                                          {"conflict", 5, 409},    {"refused", 6, 403}, {"resources", 7, 507},
                                          {"unavailable", 8, 503}, {"timeout", 9, 504}, {"internal", 1, 500}};
[[nodiscard]] constexpr const KindText& text_of(ErrorKind kind) { return kind_texts[static_cast<std::size_t>(kind)]; }

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

/// `errno` of the system call that has just failed.
[[nodiscard]] inline std::unexpected<Errno> last_error() { return fail(static_cast<Errno>(errno)); }

/// A failed hypercall as an error of `what`; the kind follows from the code.
[[nodiscard]] std::unexpected<Error> hypercall_error(std::string what, Errno code);
/// A failed system call as an error of `what`; the kind follows from `code`.
[[nodiscard]] std::unexpected<Error> errno_error(std::string what, int code);

} // namespace streak::base
