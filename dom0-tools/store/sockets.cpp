// SPDX-License-Identifier: GPL-2.0-only
#include "store/sockets.hpp"

#include <array>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.hpp"

namespace streak::store {

namespace {

/// Of a client until others have their turn.
constexpr unsigned requests_per_turn = 16;
/// A client with more than this to read isn't served until it has read.
constexpr std::size_t served_below_bytes = 64 << 10;
constexpr std::size_t pieces_per_send = 64;

[[nodiscard]] bool would_wait() { return errno == static_cast<int>(Errno::EAGAIN); }

[[nodiscard]] std::string peer_of(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return "a client";
    return "the client with process id " + std::to_string(peer.pid);
}

} // namespace

base::Outcome<> Sockets::listen(const std::string& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.size() >= sizeof address.sun_path)
        return base::error(base::ErrorKind::invalid, "the socket's path " + path + " is too long");
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::unlink(path.c_str()); // the one of a daemon that was killed
    const mode_t before = ::umask(0177);
    const bool bound = ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::umask(before);
    if (!bound || ::listen(listener_.get(), 128) != 0) return base::errno_error("can't listen on " + path, errno);
    listener_source_ = base::on_ready(loop_, listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
    if (!listener_source_) return base::error(base::ErrorKind::resources, "can't wait for clients");
    return {};
}

void Sockets::accept() {
    base::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return; // it has gone again, or there are too many: it stays in the queue
    const SessionId id = store_.service().open({.id = dom0_id, .privileged = true}).id;
    Client& client = *(clients_[id] = std::make_unique<Client>(Client{std::move(socket), id}));
    client.source = base::on_ready(loop_, client.socket.get(), EPOLLIN,
                                   [this, &client](std::uint32_t events) { on_event(client, events); });
    if (!client.source) return drop(client);
    on_event(client, EPOLLIN); // most have sent a request already
}

void Sockets::on_event(Client& client, std::uint32_t events) {
    bool lives = (events & EPOLLOUT) == 0 || flush(client);
    if (lives && (events & EPOLLIN) != 0) lives = receive(client);
    else if (lives && (events & EPOLLOUT) == 0) lives = false; // hung up, and nothing left to read
    if (lives && serve(client)) wait_for(client);
    else drop(client);
}

/// False: the client has gone.
bool Sockets::receive(Client& client) {
    std::array<char, 8192> buffer;
    const ssize_t n = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) client.reader.feed({buffer.data(), static_cast<std::size_t>(n)});
    return n > 0 || (n < 0 && would_wait());
}

/// Handles requests that have come, some of them. False: the client has to go.
bool Sockets::serve(Client& client) {
    Session& session = *store_.service().session(client.session);
    unsigned requests = 0;
    for (; requests < requests_per_turn && session.output.bytes() < served_below_bytes; ++requests) {
        const auto message = client.reader.next();
        if (!message) return false; // it doesn't speak the protocol
        if (!*message) break;
        store_.handle(session, **message);
    }
    if (requests == requests_per_turn) left_over_.insert(client.session);
    return flush(client);
}

/// Sends what there is. False: the client has gone, or doesn't read.
bool Sockets::flush(Client& client) {
    Session& session = *store_.service().session(client.session);
    if (session.overrun) {
        base::log(base::LogLevel::warning, peer_of(client.socket.get()) + " doesn't read its events and is dropped");
        return false;
    }
    while (!session.output.empty()) {
        std::array<iovec, pieces_per_send> pieces;
        const std::size_t count = std::min(pieces.size(), session.output.messages());
        for (std::size_t i = 0; i < count; ++i) {
            const std::string_view piece = session.output.message(i);
            pieces[i] = {const_cast<char*>(piece.data()), piece.size()};
        }
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const ssize_t n = ::sendmsg(client.socket.get(), &message, MSG_NOSIGNAL);
        if (n < 0) return would_wait();
        session.output.delivered(static_cast<std::size_t>(n));
    }
    return true;
}

/// Reads only what can be handled now, and waits for room when there is something to send.
void Sockets::wait_for(Client& client) {
    const Session& session = *store_.service().session(client.session);
    const bool stuck = !session.output.empty();
    const bool full = session.output.bytes() >= served_below_bytes || left_over_.contains(client.session);
    const std::uint32_t events = (full ? 0u : EPOLLIN) | (stuck ? EPOLLOUT : 0u);
    if (events == client.waits_for) return;
    client.waits_for = events;
    sd_event_source_set_io_events(client.source.get(), events);
}

void Sockets::drop(Client& client) {
    const SessionId id = client.session;
    store_.service().close(id);
    left_over_.erase(id);
    clients_.erase(id);
}

/// One of the steps above for a client that may have gone.
void Sockets::go_on(SessionId id, bool (Sockets::*step)(Client&)) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    if ((this->*step)(*found->second)) wait_for(*found->second);
    else drop(*found->second);
}

void Sockets::flush_woken() {
    for (const SessionId id : store_.take_woken_sockets()) go_on(id, &Sockets::flush);
}

bool Sockets::run() {
    for (const SessionId id : std::exchange(left_over_, {})) go_on(id, &Sockets::serve);
    return !left_over_.empty();
}

} // namespace streak::store
