// SPDX-License-Identifier: GPL-2.0-only
// count NAME TIMES COMMAND...: how many ticks of the TSC a command takes from fork to its end, over TIMES runs. Where the
// emulator counts instructions (QEMU -icount shift=0), ticks are instructions of all processors' work meanwhile.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

/// Ticks of one run, or nothing when the command failed.
unsigned long long run(char** command) {
    const unsigned long long start = __rdtsc();
    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, 1);
        execvp(command[0], command);
        _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 0;
    return __rdtsc() - start;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: count NAME TIMES COMMAND...\n");
        return 2;
    }
    std::vector<unsigned long long> ticks;
    for (int i = std::atoi(argv[2]); i > 0; --i) {
        ticks.push_back(run(argv + 3));
        if (ticks.back() == 0) {
            std::fprintf(stderr, "count: %s failed\n", argv[3]);
            return 1;
        }
    }
    std::ranges::sort(ticks);
    std::printf("BENCH %s: %llu (least %llu, most %llu)\n", argv[1], ticks[ticks.size() / 2], ticks.front(),
                ticks.back());
    return 0;
}
