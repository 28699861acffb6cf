// SPDX-License-Identifier: GPL-2.0-only
#include "config/sandbox.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/confine.hpp"
#include "base/io.hpp"
#include "config/packed.hpp"
#include "config/values.hpp"
#include "config/xml_tree.hpp"

namespace streak::config {

namespace {

constexpr std::uint32_t max_answer = 16 << 20;
constexpr rlim_t memory_bytes = 64 << 20; ///< beyond what the process has at the start
constexpr rlim_t cpu_seconds = 120;       ///< of a whole life

bool limit_memory() {
#ifdef __SANITIZE_ADDRESS__
    return true; // its shadow of the address space is larger than any limit
#else
    char text[32] = {};
    const base::Fd file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
    const ssize_t bytes = ::read(file.get(), text, sizeof text - 1);
    const rlim_t now = bytes <= 0 ? rlim_t{1} << 30 : std::strtoull(text, nullptr, 10) * 4096;
    return base::limit(RLIMIT_AS, now + memory_bytes);
#endif
}

using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, decltype(&seccomp_release)>;

/// The system calls of a process that reads and writes descriptor 0 and gets memory, none of it executable; null: no
/// memory. Made before the fork, so that the child of a program with threads need not.
Filter worker_filter() {
    Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
    if (!filter) return filter;
    bool good = true;
    const auto allow = [&](int call, auto... conditions) {
        good = good && seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, sizeof...(conditions), conditions...) == 0;
    };
    for (const int call : {SCMP_SYS(read), SCMP_SYS(write)}) allow(call, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) allow(call, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    for (const int call : {SCMP_SYS(exit_group), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
                           SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time)})
        allow(call);
    if (!good) filter.reset();
    return filter;
}

/// Takes all rights but those of `filter` and descriptor 0 from this process, for good.
bool confine(const Filter& filter) {
    return limit_memory() && base::give_up_rights(1, cpu_seconds) && seccomp_load(filter.get()) == 0;
}

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
        if (!base::write_all(0, message(header.kind, work(header.kind, request)))) return;
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

std::expected<std::string, Sandbox::Failure> Sandbox::exchange(char kind, std::string_view request) {
    const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
    const auto failed = [&] {
        return std::unexpected(std::chrono::steady_clock::now() >= deadline ? Failure::too_long : Failure::died);
    };
    const std::string whole = message(kind, request);
    const auto receive = [&](void* into, std::size_t bytes) {
        return ::recv(socket_.get(), into, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
    };
    if (::send(socket_.get(), whole.data(), whole.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(whole.size()))
        return failed();
    Header header;
    if (!receive(&header, sizeof header)) return failed();
    if (header.bytes > max_answer) return std::unexpected(Failure::died);
    std::string answer(header.bytes, '\0');
    if (!receive(answer.data(), answer.size())) return failed();
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
