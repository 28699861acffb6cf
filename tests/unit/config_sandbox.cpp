// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "config/sandbox.hpp"
#include "config_samples.hpp"

using namespace streak;
using namespace streak::config;
using namespace std::chrono_literals;

namespace {

/// What a taken-over parser might try; 'e' is the harmless echo.
std::string misbehave(char kind, std::string_view request) {
    switch (kind) {
    case 'a': std::abort();
    case 'z': *reinterpret_cast<volatile int*>(8) = 1; break;
    case 'l':
        for (volatile bool on = true; on;) continue;
        break;
    case 'o': (void)!::open("/etc/passwd", O_RDONLY); break;
    case 'n': (void)!::socket(AF_INET, SOCK_STREAM, 0); break;
    case 'f': (void)!::fork(); break;
    case 'k': ::kill(::getppid(), SIGTERM); break;
    case 'm': (void)!::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); break;
    case '1': (void)!::write(1, "x", 1); break;
    case 't': // the answer's length, and then nothing more
        (void)!::write(0, "\xff\xff\0\0\0\0\0\0", 8);
        for (volatile bool on = true; on;) continue;
        break;
    case 'b': // a length beyond all measure
        (void)!::write(0, "\xff\xff\xff\xff\0\0\0\0", 8);
        break;
    }
    return "echo " + std::string(request);
}

bool alive(pid_t process) { return ::kill(process, 0) == 0; }

} // namespace

TEST_CASE("config: the sandbox answers from one process", "[config]") {
    Sandbox sandbox(misbehave);
    REQUIRE(sandbox.start());
    const pid_t process = sandbox.process();
    REQUIRE(process > 0);
    CHECK(sandbox.ask('e', "one") == "echo one");
    CHECK(sandbox.ask('e', "").value() == "echo ");
    const std::string large(900'000, 'x');
    CHECK(sandbox.ask('e', large).value().size() == large.size() + 5);
    CHECK(sandbox.process() == process);
}

TEST_CASE("config: whatever the sandbox must not do kills it, and the next one works", "[config]") {
    Sandbox sandbox(misbehave, {.timeout = 20s});
    for (const char kind : {'o', 'n', 'f', 'k', 'm', '1'}) {
        INFO(kind);
        const auto answer = sandbox.ask(kind, "");
        REQUIRE(!answer);
        CHECK(answer.error().kind == base::ErrorKind::internal);
        CHECK(answer.error().found == "it made a forbidden system call");
        CHECK(sandbox.process() == 0);
        CHECK(sandbox.ask('e', "again") == "echo again");
    }
}

TEST_CASE("config: a crash of the sandbox is an error that says so", "[config]") {
    Sandbox sandbox(misbehave, {.timeout = 20s});
    for (const char kind : {'a', 'z', 'b'}) {
        INFO(kind);
        const auto answer = sandbox.ask(kind, "");
        REQUIRE(!answer);
        CHECK(answer.error().text().find("died over this one") != std::string::npos);
        CHECK(sandbox.ask('e', "again") == "echo again");
    }
}

TEST_CASE("config: a sandbox that takes too long is ended", "[config]") {
    Sandbox sandbox(misbehave, {.timeout = 300ms});
    for (const char kind : {'l', 't'}) {
        REQUIRE(sandbox.start());
        const pid_t process = sandbox.process();
        const auto begin = std::chrono::steady_clock::now();
        const auto answer = sandbox.ask(kind, "");
        REQUIRE(!answer);
        CHECK(answer.error().kind == base::ErrorKind::invalid);
        CHECK(answer.error().what.find("too long") != std::string::npos);
        CHECK(std::chrono::steady_clock::now() - begin < 10s);
        CHECK(!alive(process));
    }
}

TEST_CASE("config: a sandbox that died unasked is replaced unseen, and one that has served long, too", "[config]") {
    Sandbox sandbox(misbehave, {.timeout = 20s, .requests = 3});
    REQUIRE(sandbox.start());
    ::kill(sandbox.process(), SIGKILL);
    std::vector<pid_t> processes;
    for (int i = 0; i < 7; ++i) {
        CHECK(sandbox.ask('e', "there") == "echo there");
        processes.push_back(sandbox.process());
    }
    CHECK(processes[0] == processes[2]);
    CHECK(processes[2] != processes[3]);
    CHECK(processes[3] == processes[5]);
    CHECK(processes[5] != processes[6]);
    CHECK(!alive(processes[0]));
}

TEST_CASE("config: several threads share the sandbox", "[config]") {
    Sandbox sandbox(misbehave, {.timeout = 20s});
    REQUIRE(sandbox.start()); // the sanitizers' allocator does not survive a fork among threads; the C library's does
    std::vector<std::thread> threads;
    std::vector<int> good(4);
    for (std::size_t t = 0; t < good.size(); ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 25; ++i) {
                const std::string text = std::to_string(t) + "-" + std::to_string(i);
                good[t] += sandbox.ask('e', text) == "echo " + text;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == std::vector<int>(4, 25));
}

TEST_CASE("config: the sandbox reads every sample as the caller would", "[config]") {
    REQUIRE(start_sandbox());
    for (const samples::Sample& sample : samples::all()) {
        INFO(sample.name);
        const Parsed direct = sample.parse();
        const auto parsed = parse_in_sandbox(sample.text, sample.device());
        REQUIRE(parsed.has_value());
        CHECK(parsed->findings == direct.findings);
        if (direct.accepted()) CHECK(parsed->definition == direct.definition);
    }
    const auto large = parse_in_sandbox(std::string((1 << 20) + 1, ' '));
    REQUIRE(large.has_value());
    CHECK(!large->accepted());
}
