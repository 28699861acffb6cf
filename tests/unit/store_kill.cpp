// SPDX-License-Identifier: GPL-2.0-only
#include "store_rings.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

using namespace streak;
using namespace streak::store;

// The store runs in a process of its own, which is killed at any instant; guests, whose rings it shares, notice nothing.

namespace {

[[noreturn]] void serve_forever(Rings& r) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    r.start();
    for (;;) r.run();
}

pid_t start_store(Rings& r) {
    const pid_t child = ::fork();
    if (child == 0) serve_forever(r);
    REQUIRE(child > 0);
    return child;
}

/// A guest that writes and reads its nodes, one request after the other, and knows what has to come back. It writes a
/// node that its neighbour watches, too.
class Worker {
public:
    Worker(Guest& guest, unsigned seed) : guest_(guest), random_(seed) {}

    /// Sends what fits, and checks what has come.
    void step() {
        if (unsent_.empty() && !expected_) ask();
        unsent_.erase(0, guest_.push(unsent_, 1 + random_() % 700));
        for (const Message& m : guest_.fetch(1 + random_() % 700)) {
            if (m.type == XS_WATCH_EVENT) {
                ++events_;
                continue;
            }
            REQUIRE(expected_);
            REQUIRE(m.request == request_);
            REQUIRE(m.payload == *expected_);
            expected_.reset();
            ++replies_;
        }
    }
    /// A request is on its way.
    [[nodiscard]] bool waits() const { return expected_ && unsent_.empty(); }
    [[nodiscard]] unsigned replies() const { return replies_; }
    [[nodiscard]] unsigned events() const { return events_; }

private:
    void ask() {
        const std::string path = "data/" + std::to_string(random_() % 5) + '\0';
        const auto known = nodes_.find(path);
        std::uint32_t type = XS_READ;
        std::string payload = path;
        switch (random_() % 4) {
        case 0:
            type = XS_RM;
            expected_ = "OK\0"s;
            nodes_.erase(path);
            break;
        case 1: expected_ = known == nodes_.end() ? "ENOENT\0"s : known->second; break;
        default:
            type = XS_WRITE;
            nodes_[path] = std::string(random_() % 1500, 'v') + std::to_string(request_);
            payload += nodes_[path];
            expected_ = "OK\0"s;
        }
        unsent_ = encode(type, ++request_, 0, payload);
    }

    Guest& guest_;
    std::mt19937 random_;
    std::map<std::string, std::string> nodes_;
    std::string unsent_;
    std::optional<std::string> expected_;
    std::uint32_t request_ = 100;
    unsigned replies_ = 0, events_ = 0;
};

} // namespace

TEST_CASE("guests notice nothing when the store is killed at any instant", "[store]") {
    Rings r;
    r.send(1, XS_WATCH, "data\0t\0"s);
    r.send(0, XS_WATCH, "/local/domain/2\0t\0"s);
    REQUIRE(r.payloads(1).size() == 2);
    REQUIRE(r.payloads(0).size() == 2);
    r.store.reset();
    std::mt19937 random(1);
    Worker one(r.guests.at(1), 11), two(r.guests.at(2), 22), kernel(r.guests.at(0), 33);
    const auto later = [](std::chrono::microseconds by) { return std::chrono::steady_clock::now() + by; };
    for (unsigned kills = 0; kills < 60; ++kills) {
        const pid_t child = start_store(r);
        const unsigned before = one.replies() + two.replies();
        const auto deadline = later(std::chrono::minutes(1));
        while (one.replies() + two.replies() < before + 10 + random() % 20 || !one.waits() || !two.waits()) {
            one.step();
            two.step();
            kernel.step();
            if (later({}) > deadline) FAIL("a request or a reply is lost");
        }
        // While it is at two requests: some time in a part of a millisecond.
        for (const auto moment = later(std::chrono::microseconds(random() % 400)); later({}) < moment;) {}
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    CHECK(one.replies() > 200);
    CHECK(one.events() > 50);
    CHECK(kernel.events() > 50);
}

namespace {

/// Memory that outlives a process: it is written only as often as is allowed, then the process is killed.
struct Shared {
    static constexpr greg_t single_step = 0x100;

    static void protect(int rights) {
        for (const auto& [at, size] : ranges) ::mprotect(at, size, rights);
    }
    static void on_write(int, siginfo_t* info, void* context) {
        const bool ours = std::ranges::any_of(ranges, [&](const auto& range) {
            const char* at = static_cast<const char*>(info->si_addr);
            return at >= range.first && at < range.first + range.second;
        });
        if (!ours || writes_left-- == 0) ::kill(::getpid(), SIGKILL);
        protect(PROT_READ | PROT_WRITE);
        static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= single_step;
    }
    static void on_step(int, siginfo_t*, void* context) {
        protect(PROT_READ);
        static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~single_step;
    }
    static void watch(Rings& r, unsigned writes) {
        writes_left = writes;
        for (auto& [id, guest] : r.machine.guests) ranges.emplace_back(reinterpret_cast<char*>(guest.page), 4096);
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);)
            if (line.ends_with(r.file())) {
                const auto begin = std::stoull(line, nullptr, 16),
                           end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
                ranges.emplace_back(reinterpret_cast<char*>(begin), end - begin);
            }
        struct sigaction action{};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = on_write;
        ::sigaction(SIGSEGV, &action, nullptr);
        action.sa_sigaction = on_step;
        ::sigaction(SIGTRAP, &action, nullptr);
        protect(PROT_READ);
    }

    static inline std::vector<std::pair<char*, std::size_t>> ranges;
    static inline unsigned writes_left = 0;
};

/// Lets a store serve its rings and write so often to what outlives it. True: it was done before.
bool serve_with(Rings& r, unsigned writes) {
    r.store.reset();
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        r.start();
        Shared::watch(r, writes);
        r.run();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status);
}

} // namespace

TEST_CASE("a request is handled once, between whichever two writes the store is killed", "[store]") {
    Rings r;
    // To watch twice is an error, and so is to stop it twice.
    const std::string payload = "data\0t\0"s;
    const auto killed_after = [&](std::uint32_t type, unsigned writes) {
        r.guests.at(1).push(encode(type, 1, 0, payload));
        const bool done = serve_with(r, writes);
        r.start();
        INFO("request " << type << ", killed after " << writes << " writes");
        REQUIRE(r.payloads(1) == (type == XS_WATCH ? std::vector{"OK\0"s, payload} : std::vector{"OK\0"s}));
        return done;
    };
    unsigned writes = 0;
    for (bool done = false; !done; ++writes) {
        done = killed_after(XS_WATCH, writes);
        done = killed_after(XS_UNWATCH, writes) && done;
    }
    CHECK(writes > 10);
}
