// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

namespace streak::base {

/// Levels of syslog(3), as systemd reads them at the start of a line (sd-daemon(3)).
enum class LogLevel : char { error = '3', warning = '4', notice = '5', info = '6', debug = '7' };

/// A line as log() writes it: with the program's name before it, or with the level where that is empty. Control
/// characters become \xNN, since text may come from guests and a line must stay one.
[[nodiscard]] std::string log_line(LogLevel level, std::string_view text, std::string_view program = {});

/// One line to standard error, with a level prefix when systemd reads it and the program's name when a person does.
void log(LogLevel level, std::string_view text);

} // namespace streak::base
