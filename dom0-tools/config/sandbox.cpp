// SPDX-License-Identifier: GPL-2.0-only
#include "config/sandbox.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/confine.hpp"
#include "config/confine.hpp"
#include "config/packed.hpp"
#include "config/values.hpp"
#include "config/xml_tree.hpp"

namespace streak::config {

namespace {

constexpr std::uint32_t max_answer = 16 << 20;

/// What precedes the bytes of a request or an answer.
struct Header {
    std::uint32_t bytes = 0;
    char kind = 0;
    char padding[3] = {};
};

bool read_all(int fd, char* into, std::size_t bytes) {
    while (bytes > 0) {
        const ssize_t got = ::read(fd, into, bytes);
        if (got <= 0) return false;
        into += got, bytes -= static_cast<std::size_t>(got);
    }
    return true;
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = ::write(fd, text.data(), text.size());
        if (put <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

std::string message(char kind, std::string_view content) {
    const Header header{.bytes = static_cast<std::uint32_t>(content.size()), .kind = kind};
    std::string text(sizeof header, '\0');
    std::memcpy(text.data(), &header, sizeof header);
    return text.append(content);
}

/// Answers requests of descriptor 0 until it closes.
void serve(Sandbox::Work work) {
    Header header;
    std::string request;
    while (read_all(0, reinterpret_cast<char*>(&header), sizeof header)) {
        request.resize(header.bytes);
        if (!read_all(0, request.data(), request.size())) return;
        if (!write_all(0, message(header.kind, work(header.kind, request)))) return;
    }
}

std::string describe_end(int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == base::could_not_confine)
        return "it could not give up its rights; the kernel of the control domain needs seccomp filters";
    if (WIFEXITED(status)) return cat("it ended with status ", WEXITSTATUS(status));
    if (WTERMSIG(status) == SIGSYS) return "it made a forbidden system call";
    return cat("signal ", WTERMSIG(status), ", ", sigdescr_np(WTERMSIG(status)));
}

std::string parse_request(char kind, std::string_view request) {
    return pack(kind == 'd' ? parse_device_xml(request) : parse_xml(request));
}

/// Has libxml2 and the vocabulary set up all that they set up once.
constexpr std::string_view sample =
    "<domain type='xen'><name>n</name><memory unit='MiB'>4</memory><os><kernel>/k</kernel>"
    "</os><devices><unknown/></devices></domain>";

Sandbox& parser() {
    static Sandbox sandbox(parse_request, {.warm_up = sample});
    return sandbox;
}

} // namespace

Sandbox::~Sandbox() {
    if (owner_ == ::getpid()) stop();
}

base::Outcome<> Sandbox::start() {
    const std::lock_guard lock(mutex_);
    return process_ ? base::Outcome<>{} : start_locked();
}

base::Outcome<> Sandbox::start_locked() {
    const Filter filter = worker_filter();
    if (!filter) return base::error(base::ErrorKind::internal, "no system call filter can be made");
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return base::errno_error("no socket for reading definitions", errno);
    base::Fd ours(ends[0]), theirs(ends[1]);
    const auto ms = options_.timeout.count();
    const timeval patience{.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
        ::setsockopt(ours.get(), SOL_SOCKET, direction, &patience, sizeof patience);
    const pid_t child = ::fork();
    if (child < 0) return base::errno_error("no process can be started to read definitions in", errno);
    if (child == 0) {
        if (!options_.warm_up.empty()) (void)work_('w', options_.warm_up);
        if (::dup2(theirs.get(), 0) != 0 || !confine(filter)) base::leave(base::could_not_confine);
        serve(work_);
        base::leave(0);
    }
    process_ = child, owner_ = ::getpid(), asked_ = 0;
    socket_ = std::move(ours);
    return {};
}

std::string Sandbox::stop() {
    socket_.reset();
    const pid_t process = std::exchange(process_, 0);
    if (process == 0) return {};
    int status = 0;
    // Whoever died by itself closed its socket a moment before it can be waited for.
    pid_t got = ::waitpid(process, &status, WNOHANG);
    for (int i = 0; got == 0 && i < 20; ++i) {
        ::usleep(500);
        got = ::waitpid(process, &status, WNOHANG);
    }
    if (got == process) return describe_end(status);
    ::kill(process, SIGKILL);
    ::waitpid(process, &status, 0);
    return {};
}

bool Sandbox::receive(char* into, std::size_t bytes, std::chrono::steady_clock::time_point deadline) {
    while (bytes > 0) {
        const ssize_t got = ::recv(socket_.get(), into, bytes, 0);
        if (got <= 0 || std::chrono::steady_clock::now() > deadline) return false;
        into += got, bytes -= static_cast<std::size_t>(got);
    }
    return true;
}

std::expected<std::string, Sandbox::Failure> Sandbox::exchange(char kind, std::string_view request) {
    const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
    const auto failed = [&] {
        return std::unexpected(std::chrono::steady_clock::now() >= deadline ? Failure::too_long : Failure::died);
    };
    const std::string whole = message(kind, request);
    for (std::string_view rest = whole; !rest.empty();) {
        const ssize_t put = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (put <= 0) return failed();
        rest.remove_prefix(static_cast<std::size_t>(put));
    }
    Header header;
    if (!receive(reinterpret_cast<char*>(&header), sizeof header, deadline)) return failed();
    if (header.bytes > max_answer) return std::unexpected(Failure::died);
    std::string answer(header.bytes, '\0');
    if (!receive(answer.data(), answer.size(), deadline)) return failed();
    return answer;
}

base::Outcome<std::string> Sandbox::ask(char kind, std::string_view request) {
    const std::lock_guard lock(mutex_);
    if (process_ && asked_ >= options_.requests) stop();
    std::string end;
    // The second try is for a process that had died before it was asked.
    for (int tries = 0; tries < 2; ++tries) {
        if (!process_) TRY(start_locked());
        ++asked_;
        auto answer = exchange(kind, request);
        if (answer) return std::move(*answer);
        end = stop();
        if (answer.error() == Failure::too_long)
            return base::error(base::ErrorKind::invalid, "reading the definition took too long and was given up",
                               cat("at most ", options_.timeout.count(), " ms"), {}, "Make the definition smaller");
    }
    return base::error(base::ErrorKind::internal, "the process that reads definitions died over this one", {}, end,
                       "Nothing was changed. This is a fault of Streak: please report it with the definition");
}

base::Outcome<> start_sandbox() { return parser().start(); }

base::Outcome<Parsed> parse_in_sandbox(std::string_view text, bool device) {
    if (text.size() > max_xml_bytes) return parse_xml(text); // which refuses it unseen
    TRY_ASSIGN(answer, parser().ask(device ? 'd' : 'x', text));
    return unpack(answer);
}

} // namespace streak::config
