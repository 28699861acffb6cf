// SPDX-License-Identifier: GPL-2.0-only
#include "cli/views.hpp"

#include <catch2/catch_test_macros.hpp>

#include "cli/failure.hpp"

using namespace streak;
using namespace streak::cli;

namespace {

const Json domains = Json::parse(R"({"schema":"streak.domains/1","domains":[
 {"uuid":"u1","name":"Domain-0","id":0,"state":"running","reason":"","memory_kib":524288,"vcpus":2,"cpu_time_ns":73000000000,
  "uptime_s":86400},
 {"uuid":"u2","name":"web","id":12,"state":"blocked","memory_kib":131072,"vcpus":1,"cpu_time_ns":1200000000,"uptime_s":17},
 {"uuid":"u3","name":"db","id":null,"state":"shut-off","reason":"crash","memory_kib":1048576,"vcpus":4,"cpu_time_ns":0}]})");

} // namespace

TEST_CASE("cli: list") {
    CHECK(domains_text(domains, false) == "NAME      ID  STATE     MEMORY  VCPUS    CPU TIME    UP FOR\n"
                                          "Domain-0   0  running  512 MiB      2  1 min 13 s  1 d 00 h\n"
                                          "web       12  blocked  128 MiB      1       1.2 s    17.0 s\n");
    CHECK(domains_text(domains, true) == "NAME      ID  STATE              MEMORY  VCPUS    CPU TIME    UP FOR\n"
                                         "Domain-0   0  running           512 MiB      2  1 min 13 s  1 d 00 h\n"
                                         "web       12  blocked           128 MiB      1       1.2 s    17.0 s\n"
                                         "db         -  shut-off (crash)    1 GiB      4           -         -\n");
    CHECK(domains_note(domains, false) == "1 more shut off: `streak list --all` shows them\n");
    CHECK(domains_note(domains, true).empty());
    CHECK(domains_text(Json::object(), true) == "NAME  ID  STATE  MEMORY  VCPUS  CPU TIME  UP FOR\n");
}

TEST_CASE("cli: dominfo") {
    const auto domain =
        Json::parse(R"({"schema":"streak.domain/1","uuid":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","name":"web",
 "id":3,"state":"running","reason":"","autostart":true,"persistent":true,"memory_kib":131072,"max_memory_kib":262144,"vcpus":2,
 "max_vcpus":2,"cpu_time_ns":2500000000,"uptime_s":300,"vcpus_list":[{"vcpu":0,"cpu":1,"state":"running","cpu_time_ns":2500000000,
 "affinity":[0,1]}],"disks":[{"target":"xvda","path":"/srv/web.img","read_only":false,"state":"connected"}],
 "interfaces":[{"mac":"00:16:3e:00:00:01","bridge":"br0","vif":"vif3.0","state":"connected"}],
 "console":{"tty":"/dev/pts/1","log":"/var/log/streak/console/6ba7b810.log"},"kernel":"/boot/vmlinuz","initrd":"",
 "command_line":"root=/dev/xvda","on_poweroff":"destroy","on_reboot":"restart","on_crash":"destroy","weight":256,"cap":50})");
    CHECK(domain_text(domain) == "name:          web\n"
                                 "UUID:          6ba7b810-9dad-41d1-80b4-00c04fd430c8\n"
                                 "id:            3\n"
                                 "state:         running\n"
                                 "kept:          defined\n"
                                 "autostart:     yes\n"
                                 "memory:        128 MiB of 256 MiB\n"
                                 "vCPUs:         2\n"
                                 "CPU time:      2.5 s\n"
                                 "up for:        5 min 00 s\n"
                                 "weight:        256\n"
                                 "cap:           50 % of a CPU\n"
                                 "kernel:        /boot/vmlinuz\n"
                                 "command line:  root=/dev/xvda\n"
                                 "on poweroff:   destroy\n"
                                 "on reboot:     restart\n"
                                 "on crash:      destroy\n"
                                 "terminal:      /dev/pts/1\n"
                                 "log:           /var/log/streak/console/6ba7b810.log\n"
                                 "\n"
                                 "VCPU  CPU  STATE    CPU TIME  MAY RUN ON\n"
                                 "   0    1  running     2.5 s  0-1\n"
                                 "\n"
                                 "DISK  STATE      ACCESS    PATH\n"
                                 "xvda  connected  writable  /srv/web.img\n"
                                 "\n"
                                 "INTERFACE  STATE      BRIDGE  MAC\n"
                                 "vif3.0     connected  br0     00:16:3e:00:00:01\n");
}

TEST_CASE("cli: info") {
    const auto host = Json::parse(R"({"schema":"streak.host/1","version":"4.17.0-streak","build_id":"ab12","cpus":2,
 "cpu_khz":2500000,"memory_kib":2097152,"free_memory_kib":1572864})");
    CHECK(host_text(host) == "hypervisor:  Streak 4.17.0-streak\n"
                             "build id:    ab12\n"
                             "CPUs:        2 at 2500 MHz\n"
                             "memory:      2 GiB\n"
                             "free:        1.5 GiB\n");
}

TEST_CASE("cli: left-overs") {
    CHECK(leftovers_text(Json::parse(R"({"leftovers":[]})")) == "nothing is left over\n");
    CHECK(leftovers_text(Json::parse(R"({"leftovers":[{"what":"loop device /dev/loop3","holder":"pid 7"}]})")) ==
          "LEFT OVER               HELD BY\n"
          "loop device /dev/loop3  pid 7\n");
}

TEST_CASE("cli: findings of a definition") {
    const auto answer = Json::parse(R"({"accepted":false,"findings":[
 {"fate":"used","line":1,"element":"domain","text":"","remedy":""},
 {"fate":"ignored","line":4,"element":"domain/devices/graphics","text":"there are no screens","remedy":""},
 {"fate":"refused","line":12,"element":"domain/memory","text":"'lots' is no number","remedy":"write 128"}],
 "lacks":[{"what":"bridge br7","remedy":"ip link add br7 type bridge"}]})");
    CHECK(validation_text(answer) == "LINE  FATE     ELEMENT                  WHY                   REMEDY\n"
                                     "   1  used     domain\n"
                                     "   4  ignored  domain/devices/graphics  there are no screens\n"
                                     "  12  refused  domain/memory            'lots' is no number   write 128\n"
                                     "\n"
                                     "THE HOST LACKS  REMEDY\n"
                                     "bridge br7      ip link add br7 type bridge\n");
    CHECK(validation_text(Json::parse(R"({"accepted":true,"findings":[],"lacks":[]})")).empty());
}

TEST_CASE("cli: events and top") {
    CHECK(event_text(Json::parse(
              R"({"number":12,"time":"2026-01-31T12:00:00Z","name":"web","event":"crashed","detail":"panic"})")) ==
          "2026-01-31T12:00:00Z  web  crashed  panic\n");
    const auto stats = [](std::uint64_t ns, std::uint64_t bytes) {
        return Json{{"time_ns", ns},
                    {"host", {{"cpus", 2}, {"memory_kib", 2048}, {"free_memory_kib", 1024}}},
                    {"domains",
                     {{{"uuid", "u"},
                       {"name", "web"},
                       {"id", 3},
                       {"cpu_time_ns", ns / 4},
                       {"memory_kib", 4096},
                       {"vcpus", 1},
                       {"read_bytes", bytes},
                       {"written_bytes", 0},
                       {"received_bytes", 0},
                       {"sent_bytes", bytes / 2}}}}};
    };
    constexpr std::uint64_t second = 1'000'000'000;
    CHECK(top_text(stats(second, 0), stats(3 * second, 8192), 2 * second) ==
          "1 domain, 2 CPUs, 1 MiB of 2 MiB free\n"
          "NAME  ID  CPU %  CPU TIME  MEMORY  VCPUS  READ KiB/s  WRITE KiB/s  IN KiB/s  OUT KiB/s\n"
          "web    3   25.0     0.7 s   4 MiB      1           4            0         0          2\n");
    CHECK(top_text(Json::object(), stats(second, 0), 0).ends_with("-          -\n"));
}

TEST_CASE("cli: errors as text and as JSON") {
    const Failure failure(
        base::Error{base::ErrorKind::not_found, "there is no bridge br7", "a bridge", "br0", "make one"});
    CHECK(error_text(failure, false) == "streak: there is no bridge br7\n"
                                        "  expected: a bridge\n"
                                        "  found:    br0\n"
                                        "  remedy:   make one\n");
    CHECK(error_text(base::Error{base::ErrorKind::internal, "it broke\033[2J"}, true) ==
          "\033[1;31mstreak:\033[0m it broke\\x1b[2J\n");
    CHECK(error_json(failure) ==
          "{\"schema\":\"streak.error/1\",\"kind\":\"not_found\",\"what\":\"there is no bridge br7\","
          "\"expected\":\"a bridge\",\"found\":\"br0\",\"remedy\":\"make one\"}\n");
    CHECK(failure_from_answer(404, error_json(failure)).error == failure.error);
}

TEST_CASE("cli: errors carry findings") {
    const Failure failure(base::Error{base::ErrorKind::invalid, "refused"},
                          {{config::Finding::Fate::refused, 7, "domain/memory", "no number", "write 128"}});
    CHECK(error_text(failure, false) == "streak: refused\n"
                                        "LINE  FATE     ELEMENT        WHY        REMEDY\n"
                                        "   7  refused  domain/memory  no number  write 128\n");
    CHECK(failure_from_answer(422, error_json(failure)).findings == failure.findings);
}

TEST_CASE("cli: answers that are no errors of ours") {
    for (const auto* body : {"", "[]", "<html>", "{}", R"({"schema":"streak.done/1"})"}) {
        const auto failure = failure_from_answer(500, body);
        CHECK(failure.error.kind == base::ErrorKind::internal);
        CHECK(failure.error.found == "status 500");
    }
}

TEST_CASE("cli: exit statuses") {
    using base::ErrorKind;
    const std::pair<ErrorKind, int> table[] = {
        {ErrorKind::internal, 1},  {ErrorKind::usage, 2},       {ErrorKind::invalid, 3},
        {ErrorKind::not_found, 4}, {ErrorKind::conflict, 5},    {ErrorKind::refused, 6},
        {ErrorKind::resources, 7}, {ErrorKind::unavailable, 8}, {ErrorKind::timeout, 9}};
    for (const auto& [kind, status] : table) CHECK(base::text_of(kind).exit_status == status);
}
