// SPDX-License-Identifier: GPL-2.0-only
#include "config/confine.hpp"

#include "base/confine.hpp"
#include "base/fd.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>

namespace streak::config {

namespace {

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
    return limit_memory() && base::give_up_rights(1, cpu_seconds) && seccomp_load(filter.get()) == 0;
}

} // namespace streak::config
