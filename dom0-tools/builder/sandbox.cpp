// SPDX-License-Identifier: GPL-2.0-only
#include "builder/sandbox.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <iterator>

namespace streak::builder {

namespace {

constexpr int could_not_confine = 121; // exit status of the child
constexpr int interrupted = 4;         // EINTR, which the ABI's codes lack

/// Nothing but exit_group(2). A library would allocate and free on its way here, which are system calls at times.
bool allow_only_exit() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const sock_fprog filter{std::size(program), program};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool limit(__rlimit_resource what, rlim_t most) {
    const rlimit limits{most, most};
    return ::setrlimit(what, &limits) == 0;
}

/// The C library's wrappers of these calls change all threads of the process it thinks it is.
bool become_nobody() {
    constexpr unsigned nobody = 65534;
    return ::geteuid() != 0 ||
           (::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, nobody, nobody, nobody) == 0 &&
            ::syscall(SYS_setresuid, nobody, nobody, nobody) == 0);
}

bool confine(unsigned cpu_seconds, pid_t parent) {
    sigset_t none;
    ::sigemptyset(&none);
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent &&
           ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0 && ::close_range(0, ~0u, 0) == 0 &&
           limit(RLIMIT_CPU, cpu_seconds) && limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_FSIZE, 0) &&
           limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) && become_nobody() && ::prctl(PR_SET_DUMPABLE, 0) == 0 &&
           ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && allow_only_exit();
}

[[noreturn]] void leave(int status) {
    ::syscall(SYS_exit_group, status);
    __builtin_trap();
}

} // namespace

base::Outcome<Ending> run_confined(FunctionRef<void()> work, unsigned cpu_seconds) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return base::errno_error("no process can be started to unpack a kernel in", errno);
    if (child == 0) {
        if (!confine(cpu_seconds, parent)) leave(could_not_confine);
        work();
        leave(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != interrupted) return base::errno_error("the unpacking process is lost", errno);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ending::finished;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)) return Ending::timeout;
    if (WIFEXITED(status) && WEXITSTATUS(status) == could_not_confine)
        return base::error(base::ErrorKind::internal, "the unpacking process could not give up its rights", {}, {},
                           "The kernel of the control domain needs seccomp filters (CONFIG_SECCOMP_FILTER)");
    return Ending::killed;
}

} // namespace streak::builder
