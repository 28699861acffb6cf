// SPDX-License-Identifier: GPL-2.0-only
#include "store/client.hpp"

#include <array>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/io.hpp"

namespace streak::store {

using base::interrupted;
using base::last_error;

namespace {

constexpr unsigned commit_attempts = 16;
constexpr std::string_view apply_word{"apply\0", 6};

/// A change as strings of an `apply` request.
[[nodiscard]] std::string encoded(const Client::Change& change) {
    std::string text = static_cast<char>(change.kind) + with_nul(change.path);
    if (change.kind != Client::Change::Kind::remove) text += with_nul(change.value);
    return text;
}

struct Request {
    std::uint32_t type;
    std::string payload;
};

/// As few requests as will do, in order. E2BIG: a change that fits in none.
[[nodiscard]] Result<std::vector<Request>> pack(const std::vector<Client::Change>& changes) {
    std::vector<Request> requests;
    for (const Client::Change& change : changes) {
        Request r{XS_CONTROL, encoded(change)};
        const bool apart = change.kind == Client::Change::Kind::write &&
                           (change.value.contains('\0') || r.payload.size() + apply_word.size() > XENSTORE_PAYLOAD_MAX);
        if (apart) r = {XS_WRITE, with_nul(change.path) + change.value};
        else if (!requests.empty() && requests.back().type == XS_CONTROL &&
                 requests.back().payload.size() + r.payload.size() <= XENSTORE_PAYLOAD_MAX) {
            requests.back().payload += r.payload;
            continue;
        } else r.payload.insert(0, apply_word);
        if (r.payload.size() > XENSTORE_PAYLOAD_MAX) return fail(Errno::E2BIG);
        requests.push_back(std::move(r));
    }
    return requests;
}

} // namespace

Result<Client> Client::connect(const char* socket) {
    const std::string path = std::string_view(socket) == default_socket ? base::rooted(socket) : socket;
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.size() >= sizeof address.sun_path) return fail(Errno::EINVAL);
    std::memcpy(address.sun_path, path.data(), path.size());
    Client client;
    client.socket_ = base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!client.socket_) return last_error();
    if (::connect(client.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return last_error();
    return client;
}

Result<> Client::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno != interrupted) return fail(Errno::EIO);
        if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<std::optional<Message>> Client::receive(int wait_ms) {
    for (;;) {
        auto message = reader_.next();
        if (!message) return fail(Errno::EIO);
        if (*message) return message;
        pollfd ready{fd(), POLLIN, 0};
        if (wait_ms >= 0 && ::poll(&ready, 1, wait_ms) <= 0) return std::nullopt;
        std::array<char, 8192> buffer;
        const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == interrupted) continue;
        if (n < 0 && errno == static_cast<int>(Errno::EAGAIN)) return fail(Errno::EAGAIN);
        if (n <= 0) return fail(Errno::EIO);
        reader_.feed({buffer.data(), static_cast<std::size_t>(n)});
    }
}

Result<std::string> Client::request(std::uint32_t type, std::string_view payload, std::uint32_t transaction) {
    if (payload.size() > XENSTORE_PAYLOAD_MAX) return fail(Errno::E2BIG);
    TRY(send(encode(type, ++last_request_, transaction, payload)));
    ++requests_;
    for (;;) {
        TRY_ASSIGN(message, receive(-1));
        if (message->type == XS_WATCH_EVENT) {
            TRY(queue(*message));
            continue;
        }
        if (message->request != last_request_) return fail(Errno::EIO);
        if (message->type == XS_ERROR) return fail(error_of(message->payload));
        return std::move(message->payload);
    }
}

Result<> Client::queue(const Message& event) {
    const auto strings = split_strings(event.payload);
    if (!strings || strings->size() < 2) return fail(Errno::EIO);
    events_.push_back({std::string((*strings)[0]), std::string((*strings)[1])});
    return {};
}

Result<> Client::order(std::uint32_t type, std::string_view payload, std::uint32_t transaction) {
    TRY(request(type, payload, transaction));
    return {};
}

Result<std::optional<std::string>> Client::find(std::string_view path) {
    auto value = read(path);
    if (value) return std::move(*value);
    if (value.error() == Errno::ENOENT) return std::nullopt;
    return fail(value.error());
}

Result<std::vector<std::string>> Client::list(std::string_view path) {
    auto names = request(XS_DIRECTORY, with_nul(path));
    if (!names && names.error() == Errno::E2BIG) names = long_list(path);
    if (!names) return fail(names.error());
    TRY_ASSIGN(parts, split_strings(*names));
    return std::vector<std::string>(parts.begin(), parts.end());
}

/// A list that is longer than a message, in parts; from its beginning when it changes meanwhile.
Result<std::string> Client::long_list(std::string_view path) {
    std::string names, version;
    for (;;) {
        TRY_ASSIGN(part, request(XS_DIRECTORY_PART, with_nul(path) + with_nul(std::to_string(names.size()))));
        const auto end = part.find('\0');
        if (end == part.npos) return fail(Errno::EIO);
        if (!names.empty() && part.substr(0, end) != version) {
            names.clear();
            continue;
        }
        version = part.substr(0, end);
        names += part.substr(end + 1);
        if (names.ends_with(std::string_view("\0\0", 2)) || names == std::string_view("\0", 1)) {
            names.pop_back();
            return names;
        }
    }
}

Result<> Client::introduce(DomId domain, std::uint64_t frame, EvtchnPort port) {
    return order(XS_INTRODUCE, with_nul(std::to_string(domain.raw())) + with_nul(std::to_string(frame)) +
                                   with_nul(std::to_string(port.raw())));
}

Result<> Client::apply(const std::vector<Change>& changes) {
    TRY_ASSIGN(requests, pack(changes));
    if (requests.empty()) return {};
    if (requests.size() == 1) return order(requests[0].type, requests[0].payload);
    for (unsigned attempt = 1;; ++attempt) {
        TRY_ASSIGN(id, request(XS_TRANSACTION_START, with_nul("")));
        const auto transaction = static_cast<std::uint32_t>(std::strtoul(id.c_str(), nullptr, 10));
        Result<> done;
        for (const Request& r : requests)
            if (done) done = order(r.type, r.payload, transaction);
        const auto ended = order(XS_TRANSACTION_END, with_nul(done ? "T" : "F"), transaction);
        if (!done) return done;
        if (ended || ended.error() != Errno::EAGAIN || attempt == commit_attempts) return ended;
    }
}

Result<std::optional<Client::Event>> Client::next_event(std::chrono::milliseconds wait) {
    if (events_.empty()) {
        TRY_ASSIGN(message, receive(static_cast<int>(wait.count())));
        if (!message) return std::nullopt;
        if (message->type != XS_WATCH_EVENT) return fail(Errno::EIO);
        TRY(queue(*message));
    }
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
}

} // namespace streak::store
