// SPDX-License-Identifier: GPL-2.0-only

// Stands in for libFuzzer's main(): gives every file named on the command line to the fuzzer once, says `ran FILE`
// after each, and `ran` alone after the last. Whoever dies in between was killed by the file that was not said.
// `--faults` lists the mistakes that FUZZ_FAULT may name.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes);

int main(int count, char** files) {
    constexpr unsigned most_seconds = 30; // for one input, under the sanitizers, on a busy machine
    if (count == 2 && std::string(files[1]) == "--faults") {
        streak::fuzz::Fault::list();
        return 0;
    }
    for (int i = 1; i < count; ++i) {
        std::ifstream stream(files[i], std::ios::binary);
        if (!stream) {
            std::printf("cannot read %s\n", files[i]);
            return 1;
        }
        const std::string input{std::istreambuf_iterator<char>(stream), {}};
        alarm(most_seconds);
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
        std::printf("ran %s\n", files[i]);
        std::fflush(stdout);
    }
    std::puts("ran");
    return 0;
}
