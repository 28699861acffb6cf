// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/context.hpp"

#include <string>

#include "base/fd.hpp"

namespace streak::cli {

/// A domain's console, on the terminal of its that streak-consoled keeps.
class Console {
public:
    /// Asks streakd for the terminal and opens it. Unavailable: there is none.
    [[nodiscard]] static Outcome<Console> open(Context& context, const std::string& domain);
    /// Until the guest is gone, the user types Ctrl-], the input ends, or a signal comes. What ended it is told.
    [[nodiscard]] Outcome<> run(Context& context);

private:
    /// What became of the domain, now that the other end of its terminal is closed.
    [[nodiscard]] Outcome<> farewell(Context& context) const;
    /// Carries bytes in both directions. True: the other end is closed.
    [[nodiscard]] bool carry(int signals);
    [[nodiscard]] bool pass_input(bool from_terminal);

    std::string name_, uuid_;
    base::Fd tty_;
    bool input_open_ = true, left_ = false;
};

/// The log of a domain's console to standard output; `follow`: and what is added, until interrupted.
[[nodiscard]] Outcome<> show_log(Context& context, const std::string& path, bool follow);

} // namespace streak::cli
