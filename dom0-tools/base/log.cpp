// SPDX-License-Identifier: GPL-2.0-only
#include "base/log.hpp"

#include "base/text.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

namespace streak::base {

namespace {

/// systemd names the device and inode of the stream it reads, so that a redirected one is not taken for it.
bool systemd_reads() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    unsigned long device = 0, inode = 0;
    struct stat status{};
    return stream != nullptr && std::sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
           ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

} // namespace

std::string log_line(LogLevel level, std::string_view text, std::string_view program) {
    std::string line;
    if (program.empty()) line = {'<', static_cast<char>(level), '>'};
    else line.append(program).append(": ");
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) line += c;
        else append_hex(line += "\\x", c);
    }
    return line += '\n';
}

void log(LogLevel level, std::string_view text) {
    static const bool journal = systemd_reads();
    const std::string line = log_line(level, text, journal ? "" : program_invocation_short_name);
    // One write per line keeps lines of several threads apart; there is nowhere to report a failure to.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace streak::base
