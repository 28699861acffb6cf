// SPDX-License-Identifier: GPL-2.0-only
#include "config/confine.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace streak::config {

namespace {

constexpr rlim_t memory_bytes = 64 << 20; ///< beyond what the process has at the start
constexpr rlim_t cpu_seconds = 120;       ///< of a whole life
constexpr unsigned nobody = 65534;

bool limit(__rlimit_resource what, rlim_t most) {
    const rlimit limits{most, most};
    return ::setrlimit(what, &limits) == 0;
}

bool limit_memory() {
#ifdef __SANITIZE_ADDRESS__
    return true; // its shadow of the address space is larger than any limit
#else
    char text[32] = {};
    const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = file < 0 ? -1 : ::read(file, text, sizeof text - 1);
    if (file >= 0) ::close(file);
    const rlim_t now = bytes <= 0 ? rlim_t{1} << 30 : std::strtoull(text, nullptr, 10) * 4096;
    return limit(RLIMIT_AS, now + memory_bytes);
#endif
}

/// The C library's wrappers of these calls would change all threads of the process that this one is a copy of.
bool become_nobody() {
    return ::geteuid() != 0 ||
           (::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, nobody, nobody, nobody) == 0 &&
            ::syscall(SYS_setresuid, nobody, nobody, nobody) == 0);
}

bool reset_signals() {
    sigset_t none;
    ::sigemptyset(&none);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(signal, SIG_DFL);
    return ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

} // namespace

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

bool confine(const Filter& filter) {
    return reset_signals() && limit_memory() && ::close_range(1, ~0u, 0) == 0 && limit(RLIMIT_CPU, cpu_seconds) &&
           limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) &&
           become_nobody() && ::prctl(PR_SET_DUMPABLE, 0) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           seccomp_load(filter.get()) == 0;
}

} // namespace streak::config
