// SPDX-License-Identifier: GPL-2.0-only
#include "manager/server.hpp"

#include <grp.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include <fmt/format.h>

#include "base/fd.hpp"
#include "base/log.hpp"

namespace streak::manager {

namespace {

constexpr unsigned most_connections = 128, idle_seconds = 30;
constexpr std::size_t connection_memory_bytes = 16 << 10, stack_bytes = 1 << 20;
/// libmicrohttpd counts a handler's waiting as idleness: a connection that is being answered gets all the time there is.
constexpr unsigned answering_seconds = 0;

/// What has been received of one request.
struct Received {
    ApiRequest request;
    bool too_long = false;
};

MHD_Result send(MHD_Connection* connection, const ApiAnswer& answer) {
    MHD_Response* response = MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()),
                                                             MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
    const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

/// Who asked for a change, for the log.
void log_change(MHD_Connection* connection, const ApiRequest& request, unsigned status) {
    if (request.method == "GET") return;
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    ucred peer{};
    socklen_t size = sizeof peer;
    if (info) (void)::getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    base::log(base::LogLevel::info,
              fmt::format("{} {}: {}, for uid {}, pid {}", request.method, request.path, status, peer.uid, peer.pid));
}

MHD_Result add_argument(void* to, MHD_ValueKind, const char* key, const char* value) {
    static_cast<ApiRequest*>(to)->query[key] = value ? value : "1";
    return MHD_YES;
}

std::size_t announced_length(MHD_Connection* connection) {
    const char* text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text ? std::strtoull(text, nullptr, 10) : 0;
}

ApiAnswer too_long() {
    ApiAnswer answer = error_answer(
        {base::ErrorKind::usage, "the request is too long", fmt::format("at most {} bytes", most_body_bytes)});
    answer.status = MHD_HTTP_CONTENT_TOO_LARGE;
    return answer;
}

MHD_Result answer_to(Manager& manager, MHD_Connection* connection, const ApiRequest& request) {
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, answering_seconds);
    const ApiAnswer answer = answer_request(manager, request);
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, idle_seconds);
    log_change(connection, request, answer.status);
    return send(connection, answer);
}

/// Called with the head, then with each piece of the body, then without more.
MHD_Result on_request(void* manager, MHD_Connection* connection, const char* url, const char* method, const char*,
                      const char* data, std::size_t* bytes, void** state) {
    auto* received = static_cast<Received*>(*state);
    if (received == nullptr) {
        *state = received = new Received{{method, url}};
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, &received->request);
        return announced_length(connection) > most_body_bytes ? send(connection, too_long()) : MHD_YES;
    }
    if (*bytes > 0) {
        received->too_long |= received->request.body.size() + *bytes > most_body_bytes;
        if (!received->too_long) received->request.body.append(data, *bytes);
        *bytes = 0;
        return received->too_long ? MHD_NO : MHD_YES; // a body without a length that never ends is cut off
    }
    return answer_to(*static_cast<Manager*>(manager), connection, received->request);
}

void on_completed(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    delete static_cast<Received*>(*state);
    *state = nullptr;
}

base::Outcome<base::Fd> listen_on(const std::filesystem::path& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.string().size() >= sizeof address.sun_path)
        return base::error(base::ErrorKind::invalid, "the path of the socket is too long: " + path.string());
    std::strcpy(address.sun_path, path.c_str());
    base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return base::errno_error("can't make a socket", errno);
    ::unlink(path.c_str());
    // Nobody else may connect before the mode is right.
    const mode_t before = ::umask(0177);
    const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int code = errno;
    ::umask(before);
    if (bound < 0) return base::errno_error("can't listen on " + path.string(), code);
    if (const group* owner = ::getgrnam("streak"); owner && ::chown(path.c_str(), -1, owner->gr_gid) < 0)
        base::log(base::LogLevel::warning, "the group streak can't be given the socket");
    if (::chmod(path.c_str(), 0660) < 0 || ::listen(fd.get(), 64) < 0)
        return base::errno_error("can't listen on " + path.string(), errno);
    return fd;
}

} // namespace

void Server::Stop::operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }

base::Outcome<Server> Server::start(Manager& manager, const std::filesystem::path& socket) {
    TRY_ASSIGN(fd, listen_on(socket));
    Server server;
    server.daemon_.reset(MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, nullptr, nullptr, on_request,
        &manager, MHD_OPTION_LISTEN_SOCKET, fd.get(), MHD_OPTION_CONNECTION_LIMIT, most_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory_bytes,
        MHD_OPTION_THREAD_STACK_SIZE, stack_bytes, MHD_OPTION_NOTIFY_COMPLETED, on_completed, nullptr, MHD_OPTION_END));
    if (!server.daemon_) return base::error(base::ErrorKind::internal, "the API's server does not start");
    (void)fd.release(); // the daemon closes it
    return server;
}

} // namespace streak::manager
