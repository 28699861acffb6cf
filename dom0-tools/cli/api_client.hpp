// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/fd.hpp"
#include "cli/http.hpp"

namespace streak::cli {

/// Asks streakd on its socket (docs/api.md). Every request ends: with an answer, an error, or when its time is over.
class ApiClient {
public:
    /// Called once a second while an answer is awaited, with the seconds so far.
    using Tick = std::function<void(unsigned seconds)>;

    ApiClient(std::string socket, Tick tick) : socket_(std::move(socket)), tick_(std::move(tick)) {}

    /// An answer with a status of 2xx; other ones are failures of the kind they tell.
    [[nodiscard]] Outcome<Answer> ask(const Request& request, std::chrono::seconds limit) const;
    /// A connection on which the request was sent, for use with poll(2).
    [[nodiscard]] Outcome<base::Fd> send(const Request& request) const;

private:
    [[nodiscard]] Outcome<Answer> await(int fd, std::chrono::seconds limit) const;

    std::string socket_;
    Tick tick_;
};

/// A connection to a Unix socket; `who` listens there. Waits at most a few seconds. Errors say how to start `who`.
[[nodiscard]] Outcome<base::Fd> connect_to(const std::string& socket, std::string_view who);
/// What a failed connection (errno `code`) to `who`'s socket means.
[[nodiscard]] base::Error connect_error(int code, const std::string& socket, std::string_view who);
/// `who` is there, but says nothing.
[[nodiscard]] base::Error silence_error(std::string_view who, std::chrono::seconds limit);

} // namespace streak::cli
