// SPDX-License-Identifier: GPL-2.0-only
#include "store_rings.hpp"

#include <random>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

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
    for (unsigned kills = 0; kills < 60; ++kills) {
        const pid_t child = start_store(r);
        const unsigned before = one.replies() + two.replies();
        // A moment that has nothing to do with what the store is at.
        for (unsigned steps = random() % 20000; steps != 0 || one.replies() + two.replies() < before + 20;
             steps -= steps != 0) {
            one.step();
            two.step();
            kernel.step();
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    CHECK(one.replies() > 300);
    CHECK(one.events() > 100);
    CHECK(kernel.events() > 100);
}
