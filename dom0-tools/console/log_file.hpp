// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "console/log_rotation.hpp"

namespace streak::console {

/// A log that is written at once and rotated by size. A write that fails loses its bytes, which are counted; the file is
/// tried anew a second later, and says then how much is missing. Errors are told on standard error once.
class LogFile {
public:
    LogFile(std::string path, const LogLimits& limits) : path_(std::move(path)), limits_(limits) {}

    void write(std::string_view bytes);
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] bool ready(std::size_t bytes);
    [[nodiscard]] base::Outcome<> open();
    [[nodiscard]] base::Outcome<> rotate();
    [[nodiscard]] base::Outcome<> append(std::string_view bytes);
    void lose(std::size_t bytes, const base::Error& error);

    std::string path_;
    LogLimits limits_;
    base::Fd file_;
    std::uint64_t size_ = 0;
    std::uint64_t lost_ = 0;    ///< bytes since the last one that was written
    Clock::time_point retry_{}; ///< while lost_ isn't 0
};

/// Removes the oldest logs in `folder` of domains that are no more.
void remove_surplus_logs(const std::string& folder, const LogLimits& limits,
                         const std::function<bool(const base::Uuid&)>& lives);

} // namespace streak::console
