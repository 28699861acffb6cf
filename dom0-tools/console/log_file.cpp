// SPDX-License-Identifier: GPL-2.0-only
#include "console/log_file.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.hpp"
#include "base/log.hpp"

namespace streak::console {

namespace {

constexpr auto retry_after = std::chrono::seconds(1);

} // namespace

void LogFile::write(std::string_view bytes) {
    if (bytes.empty() || !ready(bytes.size())) return;
    if (lost_ != 0) {
        const std::string note = "\n\x1e--- " + std::to_string(lost_) + " bytes could not be written ---\n";
        if (auto noted = append(note); !noted) return lose(bytes.size(), noted.error());
        base::log(base::LogLevel::notice, path_ + ": written again, " + std::to_string(lost_) + " bytes are missing");
        lost_ = 0;
    }
    if (auto written = append(bytes); !written) lose(bytes.size(), written.error());
}

/// The file is open and has room; otherwise the bytes are lost.
bool LogFile::ready(std::size_t bytes) {
    if (lost_ != 0 && Clock::now() < retry_) {
        lost_ += bytes;
        return false;
    }
    base::Outcome<> outcome;
    if (!file_) outcome = open();
    if (outcome && size_ != 0 && size_ + bytes > limits_.bytes) outcome = rotate();
    if (!outcome) lose(bytes, outcome.error());
    return outcome.has_value();
}

base::Outcome<> LogFile::open() {
    base::Fd file(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) != 0) return base::errno_error("opening " + path_, errno);
    size_ = static_cast<std::uint64_t>(status.st_size);
    file_ = std::move(file);
    char last = '\n'; // a daemon that was killed may have left half a line
    if (size_ != 0 && ::pread(file_.get(), &last, 1, status.st_size - 1) == 1 && last != '\n') return append("\n");
    return {};
}

base::Outcome<> LogFile::rotate() {
    const auto renames = rotation(path_, limits_.old_files);
    for (const auto& [from, to] : renames)
        if (::rename(from.c_str(), to.c_str()) != 0 && errno != static_cast<int>(Errno::ENOENT))
            return base::errno_error("renaming " + from + " to " + to, errno);
    if (renames.empty() && ::ftruncate(file_.get(), 0) != 0) return base::errno_error("emptying " + path_, errno);
    return open();
}

base::Outcome<> LogFile::append(std::string_view bytes) {
    if (!base::write_all(file_.get(), bytes)) return base::errno_error("writing " + path_, errno);
    size_ += bytes.size();
    return {};
}

void LogFile::lose(std::size_t bytes, const base::Error& error) {
    if (lost_ == 0)
        base::log(base::LogLevel::error, error.text() + ". The console goes on; its output is not logged meanwhile");
    lost_ += bytes;
    retry_ = Clock::now() + retry_after;
    file_.reset();
}

void remove_surplus_logs(const std::string& folder, const LogLimits& limits,
                         const std::function<bool(const base::Uuid&)>& lives) {
    namespace fs = std::filesystem;
    std::vector<LogEntry> entries;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(folder, error)) {
        struct stat status{};
        if (::lstat(file.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
            entries.push_back({file.path().filename(), status.st_mtime, static_cast<std::uint64_t>(status.st_size)});
    }
    for (const std::string& name : surplus(std::move(entries), limits.all_bytes, lives))
        if (fs::remove(fs::path(folder) / name, error); error)
            base::log(base::LogLevel::warning, "removing the old log " + name + ": " + error.message());
}

} // namespace streak::console
