// SPDX-License-Identifier: GPL-2.0-only
#include "builder/sandbox.hpp"

#include "base/confine.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>

namespace streak::builder {

namespace {

constexpr std::size_t page_bytes = 4096;
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

/// Gives back what this process inherited and the work does not need: memory of no file, but for `kept`, the stack and
/// what stands behind a file's data. Afterwards there is no heap.
bool forget_all_but([[maybe_unused]] std::initializer_list<Memory> kept) {
#ifndef __SANITIZE_ADDRESS__ // (which keeps its books in such memory)
    struct Range {
        std::uintptr_t start = 0, end = 0;
        [[nodiscard]] bool has(const void* at) const {
            return start <= reinterpret_cast<std::uintptr_t>(at) && reinterpret_cast<std::uintptr_t>(at) < end;
        }
        [[nodiscard]] bool meets(Memory m) const {
            const auto first = reinterpret_cast<std::uintptr_t>(m.data());
            return !m.empty() && first < end && start < first + m.size();
        }
    };
    std::array<Range, 2048> ranges;
    std::size_t count = 0;
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    if (maps == nullptr) return false;
    char line[512];
    for (std::uintptr_t end_of_file = 0; std::fgets(line, sizeof line, maps) != nullptr && count < ranges.size();) {
        Range r;
        unsigned long inode = 0;
        char name[8] = {};
        if (std::sscanf(line, "%lx-%lx %*s %*s %*s %lu %7s", &r.start, &r.end, &inode, name) < 3) return false;
        const bool behind_file = r.start == end_of_file;
        if (inode != 0) end_of_file = r.end;
        const bool special = name[0] == '[' && std::strcmp(name, "[heap]") != 0;
        if (inode == 0 && !behind_file && !special && !r.has(__builtin_frame_address(0)) &&
            !r.has(__builtin_thread_pointer()))
            ranges[count++] = r;
    }
    std::fclose(maps);
    if (count == ranges.size()) return false;
    for (const Range& r : std::span(ranges).first(count))
        for (std::uintptr_t page = r.start; page < r.end; page += page_bytes) {
            const Range here{page, page + page_bytes};
            const bool needed = std::ranges::any_of(kept, [&](Memory m) { return here.meets(m); });
            if (!needed && ::munmap(reinterpret_cast<void*>(page), page_bytes) != 0) return false;
        }
#endif
    return true;
}

bool confine(unsigned cpu_seconds, pid_t parent, std::initializer_list<Memory> kept) {
    // (A change of user takes the wish back to die with the parent.)
    return forget_all_but(kept) && base::give_up_rights(0, cpu_seconds) && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
           ::getppid() == parent && allow_only_exit();
}

} // namespace

base::Outcome<Ending> run_confined(FunctionRef<void()> work, unsigned cpu_seconds, std::initializer_list<Memory> kept) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return base::errno_error("no process can be started to unpack a kernel in", errno);
    if (child == 0) {
        if (!confine(cpu_seconds, parent, kept)) base::leave(base::could_not_confine);
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
