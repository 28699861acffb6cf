// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/client.hpp"
#include "store/daemon.hpp"
#include "store/refusals.hpp"

#ifdef COUNTS_WHAT_RUNS
extern "C" void __gcov_dump();
#else
static void __gcov_dump() {}
#endif

using namespace streak;
using namespace streak::store;
using namespace std::string_literals;
using namespace std::chrono_literals;

namespace {

/// A daemon of its own below a directory of its own.
struct Daemon {
    Daemon() {
        char name[] = "/tmp/streak-stored.XXXXXX";
        root = ::mkdtemp(name);
        std::filesystem::create_directories(root + "/run");
        ::setenv("STREAK_ROOT", root.c_str(), 1);
        start();
    }
    ~Daemon() {
        kill(SIGTERM);
        ::unsetenv("STREAK_ROOT");
        std::filesystem::remove_all(root);
    }
    void start() {
        process = ::fork();
        REQUIRE(process >= 0);
        if (process != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int log = ::open((root + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(log, STDERR_FILENO);
        const bool good = run_daemon({.sockets_only = true}).has_value();
        __gcov_dump();
        ::_exit(good ? 0 : 1);
    }
    int kill(int signal = SIGKILL) {
        int status = 0;
        ::kill(process, signal);
        ::waitpid(process, &status, 0);
        return status;
    }
    Client connect() {
        for (int i = 0; i < 2000; ++i) {
            if (auto client = Client::connect()) return std::move(*client);
            ::usleep(10000);
        }
        FAIL("no daemon");
        std::abort();
    }
    std::string root;
    pid_t process = -1;
};

using Change = Client::Change;

} // namespace

TEST_CASE("a client asks the daemon", "[store]") {
    Daemon d;
    Client c = d.connect();
    CHECK(c.read("/local/domain/0/name") == "Domain-0");
    CHECK(c.read("/absent").error() == Errno::ENOENT);
    CHECK(c.read("//").error() == Errno::EINVAL);
    CHECK_FALSE(c.find("/absent").value().has_value());
    CHECK(c.find("/tool").value() == "");
    CHECK(c.write("/a/b", "\0binary"s));
    CHECK(c.find("/a/b").value() == "\0binary"s);
    CHECK(c.list("/a") == std::vector{"b"s});
    CHECK(c.list("/a/b")->empty());
    CHECK(c.remove("/a"));
    CHECK(c.list("/a").error() == Errno::ENOENT);
    CHECK(c.introduce(DomId(5), 1, EvtchnPort(1)).error() == Errno::ENOENT);
    CHECK(c.release(DomId(5)).error() == Errno::ENOENT);
    CHECK(c.request(XS_GET_DOMAIN_PATH, "5\0"s) == "/local/domain/5\0"s);
    CHECK(c.write("/long", std::string(5000, 'x')).error() == Errno::E2BIG);
    CHECK(c.requests() == 14);
}

TEST_CASE("a client lists what is longer than a message", "[store]") {
    Daemon d;
    Client c = d.connect();
    std::vector<Change> changes;
    std::vector<std::string> names;
    for (unsigned i = 1000; i < 1900; ++i) {
        names.push_back("some-long-name-" + std::to_string(i));
        changes.push_back({.path = "/l/" + names.back(), .value = "1"});
    }
    CHECK(c.apply(changes)); // in one transaction
    CHECK(c.requests() < 15);
    CHECK(c.list("/l") == names);
}

TEST_CASE("a client's changes are made together", "[store]") {
    Daemon d;
    Client c = d.connect(), other = d.connect();
    CHECK(other.watch("/n", "t"));
    CHECK(other.next_event(10s).value()->token == "t");
    const auto sent = c.requests();
    CHECK(c.apply({{.path = "/n/a", .value = "1"},
                   {.kind = Change::Kind::permissions, .path = "/n/a", .value = "n0 r5"},
                   {.kind = Change::Kind::remove, .path = "/n/absent"}}));
    CHECK(c.requests() == sent + 1);
    CHECK(other.next_event(10s).value()->path == "/n/a");
    CHECK(c.request(XS_GET_PERMS, "/n/a\0"s) == "n0\0r5\0"s);
    CHECK(c.apply({{.path = "/n/b", .value = "1"}, {.kind = Change::Kind::permissions, .path = "/n/x", .value = "n0"}})
              .error() == Errno::ENOENT);
    CHECK(c.read("/n/b").error() == Errno::ENOENT);
    // With NUL, and as long as can be: by a transaction.
    CHECK(c.apply({{.path = "/n/b", .value = "\0\0"s}, {.path = "/n/c", .value = std::string(4090, 'c')}}));
    CHECK(c.read("/n/b") == "\0\0"s);
    CHECK(c.read("/n/c")->size() == 4090);
    CHECK(c.apply({{.path = "/n/d", .value = std::string(4090, 'd')},
                   {.kind = Change::Kind::permissions, .path = "/n/x", .value = "n0"}})
              .error() == Errno::ENOENT);
    CHECK(c.read("/n/d").error() == Errno::ENOENT);
    CHECK(c.apply({{.path = "/n/d", .value = std::string(5000, 'd')}}).error() == Errno::E2BIG);
    CHECK(c.apply({}));
}

TEST_CASE("a client waits for events, also among replies", "[store]") {
    Daemon d;
    Client c = d.connect();
    CHECK(c.watch("/w", "one"));
    CHECK(c.watch("/w", "one").error() == Errno::EEXIST);
    CHECK(c.next_event(10s).value()->path == "/w");
    CHECK_FALSE(c.next_event(0ms).value().has_value());
    CHECK(c.write("/w/x", "1"));
    CHECK(c.write("/w/y", "1"));
    CHECK(c.next_event(10s).value()->path == "/w/x");
    CHECK(c.next_event(10s).value()->path == "/w/y");
    CHECK(c.unwatch("/w", "one"));
    CHECK(c.write("/w/x", "2"));
    CHECK_FALSE(c.next_event(50ms).value().has_value());
}

TEST_CASE("what clients wrote is there after the daemon was killed", "[store]") {
    Daemon d;
    Client c = d.connect();
    for (unsigned i = 0; i < 100; ++i) CHECK(c.write("/k/" + std::to_string(i), "v"));
    d.kill();
    CHECK(c.read("/k/1").error() == Errno::EIO);
    d.start();
    Client again = d.connect();
    CHECK(again.list("/k")->size() == 100);
    CHECK(WIFEXITED(d.kill(SIGTERM)));
    d.start();
    CHECK(d.connect().list("/k")->size() == 100);
}

TEST_CASE("there is one daemon at a time", "[store]") {
    Daemon d;
    d.connect();
    const auto second = run_daemon({.sockets_only = true});
    REQUIRE_FALSE(second);
    CHECK(second.error().what == "another streak-stored runs");
    CHECK(d.connect().read("/local/domain/0/domid") == "0");
}

TEST_CASE("a client that breaks the protocol or reads nothing is dropped, others go on", "[store]") {
    Daemon d;
    Client c = d.connect(), lazy = d.connect();
    SECTION("a message too long") {
        const xsd_sockmsg header{XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1};
        CHECK(::send(lazy.fd(), &header, sizeof header, MSG_NOSIGNAL) == sizeof header);
        char c;
        CHECK(::recv(lazy.fd(), &c, 1, 0) == 0);
    }
    SECTION("requests whose replies are not read") {
        CHECK(c.write("/v", std::string(4000, 'v')));
        const std::string request = encode(XS_READ, 1, 0, "/v\0"s);
        std::size_t sent = 0;
        while (::send(lazy.fd(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) ++sent;
        CHECK(c.read("/v")->size() == 4000); // it waits, alone
        const std::string stats = *c.request(XS_CONTROL, "stats\0"s);
        CHECK(std::stoul(stats.substr(stats.find("requests read ") + 14)) < sent);
    }
    SECTION("events that are not read") {
        CHECK(lazy.watch("/e", "t"));
        for (unsigned i = 0; i < 1500; ++i) CHECK(c.write("/e/" + std::to_string(i) + std::string(2000, 'x'), ""));
        std::string events(1 << 20, '\0');
        while (::recv(lazy.fd(), events.data(), events.size(), 0) > 0) {}
        std::string log(1000, '\0');
        FILE* file = ::fopen((d.root + "/log").c_str(), "r");
        log.resize(::fread(log.data(), 1, log.size(), file));
        ::fclose(file);
        CHECK(log.contains("doesn't read its events and is dropped"));
    }
    CHECK(c.read("/local/domain/0/domid") == "0");
}

TEST_CASE("refusals are said, many of them together", "[store]") {
    RefusalLog log;
    RefusalLog::Time now{};
    CHECK(log.refused(DomId(5), "nodes", 1001, now) == "domain 5 is refused: quota nodes, value 1001");
    CHECK(log.refused(DomId(5), "watches", 129, now) == "domain 5 is refused: quota watches, value 129");
    CHECK_FALSE(log.waiting());
    for (unsigned i = 0; i < 100; ++i) CHECK(log.refused(DomId(5), "nodes", 1002, now + 1s).empty());
    CHECK(log.waiting());
    CHECK(log.due(now + 9s).empty());
    CHECK(log.due(now + 10s) == std::vector{"domain 5 is refused: quota nodes, value 1002, 100 more like it"s});
    CHECK_FALSE(log.waiting());
    CHECK(log.refused(DomId(5), "nodes", 1003, now + 11s) == "domain 5 is refused: quota nodes, value 1003");
}
