// SPDX-License-Identifier: GPL-2.0-only
#include "cli/api_client.hpp"

#include <array>
#include <cstring>
#include <system_error>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

namespace streak::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr timeval send_limit{.tv_sec = 5, .tv_usec = 0};

bool is(int code, Errno error) { return code == static_cast<int>(error); }

} // namespace

base::Error connect_error(int code, const std::string& socket, std::string_view who) {
    const std::string name(who);
    if (is(code, Errno::EACCES) || is(code, Errno::EPERM))
        return {base::ErrorKind::refused, "no permission to talk to " + name, "access to " + socket,
                "permission denied", "run as root, or as a member of the group `streak`"};
    if (is(code, Errno::EAGAIN)) return silence_error(who, std::chrono::seconds(send_limit.tv_sec));
    const bool absent = is(code, Errno::ENOENT) || is(code, Errno::ECONNREFUSED);
    return {base::ErrorKind::unavailable, absent ? name + " is not running" : "can't connect to " + name,
            "its socket " + socket,
            is(code, Errno::ENOENT)         ? "no such file"
            : is(code, Errno::ECONNREFUSED) ? "nobody listens there"
                                            : base::system_error(code),
            "start it with `systemctl start " + name + "`; `journalctl -u " + name + "` tells why it ended"};
}

base::Error silence_error(std::string_view who, std::chrono::seconds limit) {
    const std::string name(who);
    return {base::ErrorKind::timeout, name + " does not answer",
            "an answer within " + std::to_string(limit.count()) + " s", "silence",
            "look at `systemctl status " + name + "`; `systemctl restart " + name + "` does guests no harm"};
}

Outcome<base::Fd> connect_to(const std::string& socket, std::string_view who) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path)
        return base::error(base::ErrorKind::usage, "the path of the socket is too long",
                           "at most " + std::to_string(sizeof address.sun_path - 1) + " bytes", socket,
                           "shorten STREAK_ROOT");
    std::memcpy(address.sun_path, socket.data(), socket.size());
    base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return base::errno_error("can't make a socket", errno);
    // A daemon that is stopped lets connections queue up; connect(2) waits for room as long as sending does.
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return std::unexpected(connect_error(errno, socket, who));
    return fd;
}

Outcome<base::Fd> ApiClient::send(const Request& request) const {
    TRY_ASSIGN(fd, connect_to(socket_, "streakd"));
    const std::string bytes = to_bytes(request);
    for (std::size_t sent = 0; sent < bytes.size();) {
        const auto count = ::send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && is(errno, Errno::EAGAIN))
            return std::unexpected(silence_error("streakd", std::chrono::seconds(send_limit.tv_sec)));
        // A daemon that refuses a request early answers and stops reading.
        if (count < 0) break;
        sent += static_cast<std::size_t>(count);
    }
    return std::move(fd);
}

Outcome<Answer> ApiClient::ask(const Request& request, std::chrono::seconds limit) const {
    TRY_ASSIGN(fd, send(request));
    TRY_ASSIGN(answer, await(fd.get(), limit));
    if (answer.status / 100 != 2) return std::unexpected(failure_from_answer(answer.status, answer.body));
    return std::move(answer);
}

Outcome<Answer> ApiClient::await(int fd, std::chrono::seconds limit) const {
    AnswerReader reader;
    std::array<char, 16384> buffer;
    const auto begin = Clock::now();
    for (unsigned seconds = 0; !reader.done();) {
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        const auto next = begin + std::chrono::seconds(seconds + 1);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
        if (::poll(&waiting, 1, static_cast<int>(std::max<long>(left, 0))) == 0) {
            if (++seconds >= limit.count()) return std::unexpected(silence_error("streakd", limit));
            if (tick_) tick_(seconds);
            continue;
        }
        const auto count = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == static_cast<int>(std::errc::interrupted) || is(errno, Errno::EAGAIN))) continue;
        if (reader.feed({buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0})) continue;
        if (count > 0) return base::error(base::ErrorKind::internal, "streakd's answer is no HTTP");
        return base::error(base::ErrorKind::unavailable, "streakd ended while it answered", {}, {},
                           "ask again; the next streakd ends or undoes what was begun");
    }
    return std::move(reader.answer());
}

} // namespace streak::cli
