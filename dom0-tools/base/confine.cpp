// SPDX-License-Identifier: GPL-2.0-only
#include "base/confine.hpp"

#include <csignal>
#include <initializer_list>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace streak::base {

namespace {

/// The C library's wrappers of these calls would change all threads of the process that this one is a copy of.
bool become_nobody() {
    constexpr unsigned nobody = 65534;
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

bool limit(__rlimit_resource what, rlim_t most) {
    const rlimit limits{most, most};
    return ::setrlimit(what, &limits) == 0;
}

bool give_up_rights(unsigned first_fd, rlim_t cpu_seconds) {
    return reset_signals() && ::close_range(first_fd, ~0u, 0) == 0 && limit(RLIMIT_CPU, cpu_seconds) &&
           limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) &&
           become_nobody() && ::prctl(PR_SET_DUMPABLE, 0) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

void leave(int status) {
    ::syscall(SYS_exit_group, status);
    __builtin_trap();
}

} // namespace streak::base
