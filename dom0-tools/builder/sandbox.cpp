// SPDX-License-Identifier: GPL-2.0-only
#include "builder/sandbox.hpp"

#include "base/confine.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <iterator>

namespace streak::builder {

namespace {

constexpr int interrupted = 4; // EINTR, which the ABI's codes lack

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

bool confine(unsigned cpu_seconds, pid_t parent) {
    // (A change of user takes the wish back to die with the parent.)
    return base::give_up_rights(0, cpu_seconds) && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent &&
           allow_only_exit();
}

} // namespace

base::Outcome<Ending> run_confined(FunctionRef<void()> work, unsigned cpu_seconds) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return base::errno_error("no process can be started to unpack a kernel in", errno);
    if (child == 0) {
        if (!confine(cpu_seconds, parent)) base::leave(base::could_not_confine);
        work();
        base::leave(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != interrupted) return base::errno_error("the unpacking process is lost", errno);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ending::finished;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)) return Ending::timeout;
    if (WIFEXITED(status) && WEXITSTATUS(status) == base::could_not_confine)
        return base::error(base::ErrorKind::internal, "the unpacking process could not give up its rights", {}, {},
                           "The kernel of the control domain needs seccomp filters (CONFIG_SECCOMP_FILTER)");
    return Ending::killed;
}

} // namespace streak::builder
