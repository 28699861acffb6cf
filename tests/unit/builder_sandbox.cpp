// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builder/kernel_file.hpp"
#include "builder/sandbox.hpp"

using namespace streak::builder;

TEST_CASE("builder: confined work reaches shared memory and nothing else", "[builder]") {
    const PageBuffer shared = PageBuffer::make(4096, true, {}).value(), own = PageBuffer::make(4096, false, {}).value();
    auto* const told = reinterpret_cast<int*>(shared.bytes().data());
    auto* const kept = reinterpret_cast<int*>(own.bytes().data());
    CHECK(run_confined([&] { *told = 42, *kept = 42; }, 5) == Ending::finished);
    CHECK(*told == 42);
    CHECK(*kept == 0);
}

TEST_CASE("builder: confined work makes no system call", "[builder]") {
    const int calls[] = {SYS_getpid,   SYS_open,   SYS_openat, SYS_read,        SYS_write,  SYS_mmap,
                         SYS_mprotect, SYS_socket, SYS_clone,  SYS_fork,        SYS_execve, SYS_kill,
                         SYS_ptrace,   SYS_setuid, SYS_prctl,  SYS_brk,         SYS_ioctl,  SYS_futex,
                         SYS_unlink,   SYS_mount,  SYS_bpf,    SYS_rt_sigreturn};
    for (const int call : calls) {
        INFO(call);
        CHECK(run_confined([&] { ::syscall(call, 0, 0, 0, 0, 0, 0); }, 5) == Ending::killed);
    }
}

TEST_CASE("builder: confined work that crashes or never ends", "[builder]") {
    CHECK(run_confined([] { __builtin_trap(); }, 5) == Ending::killed);
    volatile bool on = true;
    CHECK(run_confined(
              [&] {
                  while (on) {}
              },
              1) == Ending::timeout);
}
