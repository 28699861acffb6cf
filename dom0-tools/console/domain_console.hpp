// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/uuid.hpp"
#include "console/log_file.hpp"
#include "console/ring.hpp"
#include "console/safe_text.hpp"
#include "console/terminal.hpp"
#include "lib/ids.hpp"

namespace streak::console {

/// Whose console it is.
struct Domain {
    DomId id;
    base::Uuid uuid;
    std::string name;
};

/// `domain 5 "web"`, safe to show.
[[nodiscard]] std::string describe(const Domain& domain);

/// Moves bytes between a guest's ring, its log and its terminal. A console without a terminal is logged all the same.
class DomainConsole {
public:
    DomainConsole(Domain domain, Ring ring, LogFile log, std::optional<Terminal> terminal)
        : domain_(std::move(domain)), ring_(ring), log_(std::move(log)), terminal_(std::move(terminal)) {}

    /// Takes what the guest wrote, at most one ring's content: first into the log, so that none is lost when the daemon
    /// dies in between. True: there was something, and the guest wants to know that it has room again.
    bool move_output();
    /// Gives the guest what was typed, as far as its ring has room. True: it is to be told.
    bool move_input();
    /// Input is only read while the guest has room for it.
    [[nodiscard]] bool wants_input() const { return ring_.room() != 0; }
    /// Whatever the terminal's reader missed is told, now and then.
    void report_missed(bool last = false);

    /// A line of the daemon in the guest's log. It begins with the control character RS, which no guest can put there.
    void note(const std::string& what);

    [[nodiscard]] const Domain& domain() const { return domain_; }
    [[nodiscard]] std::optional<Terminal>& terminal() { return terminal_; }

private:
    using Clock = std::chrono::steady_clock;

    Domain domain_;
    Ring ring_;
    LogFile log_;
    SafeText safe_;
    std::optional<Terminal> terminal_;
    bool broken_ = false; ///< said that the guest's indexes make no sense
    std::uint64_t missed_ = 0;
    Clock::time_point reported_{};
};

} // namespace streak::console
