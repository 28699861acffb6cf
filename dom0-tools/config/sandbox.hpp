// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace streak::config {

/// A process without rights that answers requests, one at a time: no files, no network, nobody's user and groups, no new
/// privileges, no system calls but reading requests, writing answers and getting memory, and little of that.
///
/// It stays between requests, since a fork for each would cost more than reading a definition does. It is started anew
/// when it dies, when it takes too long, and after 1 000 requests, so that little is left of any caller's data.
/// docs/decisions/0008-definitions-in-a-sandbox.md
class Sandbox {
public:
    /// Runs in the sandbox. `kind` is the request's, as given to ask().
    using Work = std::string (*)(char kind, std::string_view request);
    struct Options {
        std::chrono::milliseconds timeout{5000}; ///< of one request
        std::string_view warm_up{};              ///< a first request (kind 'w'), before rights are given up
        std::uint32_t requests = 1000;           ///< of one process
    };

    explicit Sandbox(Work work) : Sandbox(work, Options()) {}
    Sandbox(Work work, Options options) : work_(work), options_(options) {}
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;
    ~Sandbox();

    /// Starts the process, when there is none. Best done before the program has threads.
    [[nodiscard]] base::Outcome<> start();
    /// The answer to `request`. Errors: internal (the process died over it, twice), invalid (it took too long),
    /// resources (no process).
    [[nodiscard]] base::Outcome<std::string> ask(char kind, std::string_view request);
    /// The process, for tests; 0: none.
    [[nodiscard]] pid_t process() const { return process_; }

private:
    enum class Failure { died, too_long };

    base::Outcome<> start_locked();
    std::expected<std::string, Failure> exchange(char kind, std::string_view request);
    /// Ends the process; says how it had ended by itself, if it had.
    std::string stop();

    Work work_;
    Options options_;
    std::mutex mutex_;
    base::Fd socket_;
    pid_t process_ = 0, owner_ = 0;
    std::uint32_t asked_ = 0;
};

/// Starts the process that parse_in_sandbox() asks; it starts by itself with the first definition otherwise.
[[nodiscard]] base::Outcome<> start_sandbox();

} // namespace streak::config
