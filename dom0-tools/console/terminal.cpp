// SPDX-License-Identifier: GPL-2.0-only
#include "console/terminal.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>

namespace streak::console {

base::Outcome<Terminal> Terminal::open() {
    base::Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    char path[PATH_MAX];
    if (!master || ::unlockpt(master.get()) != 0 || ::ptsname_r(master.get(), path, sizeof path) != 0)
        return base::errno_error("opening a pseudo terminal", errno);
    Terminal terminal(std::move(master), path);
    terminal.reset();
    return terminal;
}

/// Forgets what the last reader left: unread output, echo and line editing. After the other end was opened and closed
/// once, poll(2) tells whether it is open.
void Terminal::reset() {
    const base::Fd slave(::open(path_.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!slave) return;
    struct termios settings{};
    ::tcgetattr(slave.get(), &settings);
    ::cfmakeraw(&settings);
    ::tcsetattr(slave.get(), TCSANOW, &settings);
    ::tcflush(slave.get(), TCIFLUSH);
}

bool Terminal::look() {
    pollfd poll{master_.get(), POLLIN, 0};
    ::poll(&poll, 1, 0);
    open_ = (poll.revents & POLLHUP) == 0;
    const bool attached = open_ || (poll.revents & POLLIN) != 0;
    if (attached == attached_) return false;
    attached_ = attached;
    if (open_) flush();
    if (!attached_) reset();
    return true;
}

void Terminal::put(std::string_view bytes) {
    if (open_ && queue_.empty()) {
        const ssize_t written = ::write(master_.get(), bytes.data(), bytes.size());
        if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    const std::size_t lost = queue_.push(bytes);
    if (open_) missed_ += lost;
}

void Terminal::flush() {
    while (!queue_.empty()) {
        const std::string_view bytes = queue_.bytes();
        const ssize_t written = ::write(master_.get(), bytes.data(), bytes.size());
        if (written <= 0) return;
        queue_.pop(static_cast<std::size_t>(written));
    }
}

std::string_view Terminal::read(std::span<char> room) {
    const ssize_t size = ::read(master_.get(), room.data(), room.size());
    return {room.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

} // namespace streak::console
