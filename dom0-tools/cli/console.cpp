// SPDX-License-Identifier: GPL-2.0-only
#include "cli/console.hpp"

#include <algorithm>
#include <array>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.hpp"
#include "cli/text.hpp"

namespace streak::cli {
namespace {

constexpr char escape = 0x1D; // Ctrl-]
using Clock = std::chrono::steady_clock;
constexpr int quiet_ms = 500;
constexpr std::chrono::seconds longest_rest{5};

/// Makes a terminal pass every byte on, and puts it back as it was.
class RawTerminal {
public:
    explicit RawTerminal(int fd) : fd_(fd) {
        if (::isatty(fd) == 0 || ::tcgetattr(fd, &before_) != 0) return;
        raw_ = true;
        termios raw = before_;
        ::cfmakeraw(&raw);
        ::tcsetattr(fd, TCSANOW, &raw);
    }
    ~RawTerminal() {
        if (raw_) ::tcsetattr(fd_, TCSANOW, &before_);
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    [[nodiscard]] bool active() const { return raw_; }

private:
    int fd_;
    bool raw_ = false;
    termios before_{};
};

/// Signals that would end the program come as readable events, so that the terminal is put back first.
class Signals {
public:
    Signals() {
        sigset_t set;
        ::sigemptyset(&set);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&set, signal);
        ::sigprocmask(SIG_BLOCK, &set, &before_);
        fd_ = base::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
    }
    ~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    sigset_t before_{};
    base::Fd fd_;
};

base::Error no_terminal(const std::string& name, std::string found) {
    return {base::ErrorKind::unavailable, name + " has no terminal", "a terminal that streak-consoled keeps",
            std::move(found), "start it with `systemctl start streak-consoled`; `streak console --log` shows the log"};
}

} // namespace

Outcome<Console> Console::open(Context& context, const std::string& domain) {
    TRY_ASSIGN(path, domain_path(domain));
    TRY_ASSIGN(answer, context.get(path));
    Console console;
    console.name_ = printable(text_of(answer, "name"));
    console.uuid_ = text_of(answer, "uuid");
    if (text_of(answer, "state") == "shut-off")
        return base::error(base::ErrorKind::conflict, console.name_ + " is not running", {}, {},
                           "`streak start --console` starts it; `streak console --log` shows its last words");
    const auto tty = text_of(object_of(answer, "console"), "tty");
    if (tty.empty()) return std::unexpected(no_terminal(console.name_, "none"));
    console.tty_ = base::Fd(::open(tty.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!console.tty_) return std::unexpected(no_terminal(console.name_, tty + ": " + base::system_error(errno)));
    return console;
}

Outcome<> Console::run(Context& context) {
    context.note("connected to " + name_ + "; Ctrl-] ends the connection\n");
    bool closed = false;
    {
        const Signals signals;
        closed = carry(signals.fd());
    }
    if (closed) return farewell(context);
    context.note((left_ ? "\r\n" : "") + std::string("connection to ") + name_ + " ended; the domain goes on\n");
    return {};
}

bool Console::carry(int signals) {
    const RawTerminal terminal(STDIN_FILENO);
    const RawTerminal other(tty_.get());
    std::array<char, 4096> buffer;
    // When the input has ended, what the guest has to say about it is still waited for.
    auto end = Clock::time_point::max();
    while (Clock::now() < end) {
        std::array<pollfd, 3> waiting{{{.fd = tty_.get(), .events = POLLIN, .revents = 0},
                                       {.fd = signals, .events = POLLIN, .revents = 0},
                                       {.fd = input_open_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}}};
        if (::poll(waiting.data(), waiting.size(), input_open_ ? -1 : quiet_ms) == 0) return false;
        if (waiting[1].revents != 0) return false;
        if (waiting[0].revents != 0) {
            const auto count = ::read(tty_.get(), buffer.data(), buffer.size());
            if (count <= 0) return true;
            if (!base::write_all(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(count)})) return false;
        }
        if (waiting[2].revents != 0 && !pass_input(terminal.active())) return true;
        if (left_) return false;
        if (!input_open_) end = std::min(end, Clock::now() + longest_rest);
    }
    return false;
}

bool Console::pass_input(bool from_terminal) {
    std::array<char, 4096> buffer;
    const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    std::string_view bytes(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    input_open_ = count > 0;
    if (const auto place = bytes.find(escape); from_terminal && place != std::string_view::npos) {
        left_ = true;
        bytes = bytes.substr(0, place);
    }
    return base::write_all(tty_.get(), bytes);
}

Outcome<> Console::farewell(Context& context) const {
    TRY_ASSIGN(path, domain_path(uuid_));
    const auto answer = context.get(path);
    std::string why;
    if (answer) {
        const auto state = text_of(*answer, "state"), reason = text_of(*answer, "reason");
        const bool ended = state == "shut-off" || state == "crashed" || state == "dying" || state == "shutting-down";
        if (!ended)
            return base::error(base::ErrorKind::unavailable, "the terminal of " + name_ + " was closed", {},
                               "the domain is " + state,
                               "connect again; `systemctl status streak-consoled` tells more");
        why = state == "dying" ? "destroyed" : reason.empty() ? state : state + " (" + reason + ')';
    } else if (answer.error().error.kind != base::ErrorKind::not_found) {
        return std::unexpected(answer.error());
    } else if (const auto events = context.get("/v1/events?since=0&wait=0")) {
        for (const auto& event : list_of(*events, "events"))
            if (text_of(event, "uuid") == uuid_) why = text_of(event, "event");
    }
    context.note("\r\n" + name_ + " has ended" + (why.empty() ? "" : ": " + printable(why)) + '\n');
    return {};
}

} // namespace streak::cli
