// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "cli/device_xml.hpp"
#include "cli/doctor.hpp"
#include "cli/http.hpp"
#include "cli/text.hpp"
#include "config/text_edit.hpp"

using namespace streak;
using namespace streak::cli;

TEST_CASE("cli: amounts of memory as text") {
    CHECK(memory_text(0) == "0 KiB");
    CHECK(memory_text(1023) == "1023 KiB");
    CHECK(memory_text(1024) == "1 MiB");
    CHECK(memory_text(1536) == "1.5 MiB");
    CHECK(memory_text(131072) == "128 MiB");
    CHECK(memory_text(3 << 20) == "3 GiB");
    CHECK(memory_text(std::uint64_t{5} << 40) == "5120 TiB");
}

TEST_CASE("cli: times as text") {
    CHECK(duration_text(0) == "0.0 s");
    CHECK(duration_text(12'345'678'900) == "12.3 s");
    CHECK(duration_text(59'999'999'999) == "59.9 s");
    CHECK(duration_text(302'000'000'000) == "5 min 02 s");
    CHECK(duration_text(3'725'000'000'000) == "1 h 02 min");
    CHECK(duration_text(std::uint64_t{90'000} * 1'000'000'000) == "1 d 01 h");
}

TEST_CASE("cli: amounts of memory need a unit") {
    CHECK(parse_memory("128M") == 131072);
    CHECK(parse_memory("128MiB") == 131072);
    CHECK(parse_memory("1.5g") == 1572864);
    CHECK(parse_memory("4096K") == 4096);
    CHECK(parse_memory("1T") == std::uint64_t{1} << 30);
    const auto bare = parse_memory("128");
    REQUIRE(!bare);
    CHECK(bare.error().error == base::Error{base::ErrorKind::usage,
                                            "'128' is no amount of memory",
                                            "a number with its unit, such as 128M, 1.5G or 65536K",
                                            "a number without a unit",
                                            {}});
    for (const auto* wrong :
         {"", "M", "abc", "0M", "-1M", "128MB", "128X", "128 M", "0.3K", "nanM", "infM", "99999999999999T"})
        CHECK_FALSE(parse_memory(wrong));
}

TEST_CASE("cli: lists of CPUs") {
    CHECK(parse_cpus("0-3,6") == std::vector<std::uint32_t>{0, 1, 2, 3, 6});
    CHECK(parse_cpus("5,1,1") == std::vector<std::uint32_t>{1, 5});
    for (const auto* wrong : {"", "3-1", "a", "1,", ",1", "1-", "-1", "5000", "0-99999999999", "1 "})
        CHECK_FALSE(parse_cpus(wrong));
    CHECK(cpus_text({0, 1, 2, 3, 6}) == "0-3,6");
    CHECK(cpus_text({}).empty());
}

TEST_CASE("cli: text is made harmless") {
    CHECK(printable("a\033[2J\n\x7f") == "a\\x1b[2J\\x0a\\x7f");
    CHECK(printable("grün") == "grün");
    CHECK(printable("\xC2\x9B") == "\\xc2\\x9b");
    CHECK(config::escaped("a<b>&'\"\r") == "a&lt;b&gt;&amp;&apos;&quot;&#13;");
    CHECK(percent_encoded("a/b c?ü") == "a%2Fb%20c%3F%C3%BC");
}

TEST_CASE("cli: near misses") {
    static constexpr std::string_view words[] = {"list", "create", "destroy", "pause", "unpause"};
    CHECK(nearest("lst", words) == "list");
    CHECK(nearest("craete", words) == "create");
    CHECK(nearest("puase", words) == "pause");
    CHECK(nearest("foo", words).empty());
    CHECK(nearest("", words).empty());
}

TEST_CASE("cli: columns") {
    Table table{"NAME", ">ID", "STATE"};
    CHECK(table.empty());
    table.row({"web", "3", "running"});
    table.row({"größer", "12", ""});
    table.row({"a\nb"});
    CHECK(table.text() == "NAME    ID  STATE\n"
                          "web      3  running\n"
                          "größer  12\n"
                          "a\\x0ab\n");
    CHECK(labelled({{"name", "web"}, {"none", ""}, {"up for", "3 s"}}) == "name:    web\nup for:  3 s\n");
}

TEST_CASE("cli: devices as XML") {
    CHECK(disk_xml({.path = "/a&b", .target = "xvdb", .read_only = true}) == "<disk type='file' device='disk'>\n"
                                                                             "  <driver name='qemu' type='raw'/>\n"
                                                                             "  <source file='/a&amp;b'/>\n"
                                                                             "  <target dev='xvdb' bus='xen'/>\n"
                                                                             "  <readonly/>\n"
                                                                             "</disk>\n");
    CHECK(disk_xml({.path = "/dev/sdb", .target = "xvdc", .block = true, .cdrom = true})
              .starts_with("<disk type='block' device='cdrom'>\n"));
    CHECK(interface_xml({.bridge = "br0", .mac = "00:16:3e:00:00:01"}) == "<interface type='bridge'>\n"
                                                                          "  <source bridge='br0'/>\n"
                                                                          "  <mac address='00:16:3e:00:00:01'/>\n"
                                                                          "</interface>\n");
}

TEST_CASE("cli: requests as bytes") {
    CHECK(to_bytes({.method = "GET", .path = "/v1/host"}) ==
          "GET /v1/host HTTP/1.1\r\nHost: streak\r\nConnection: close\r\n\r\n");
    CHECK(to_bytes({.method = "POST", .path = "/x", .body = "{}"}) ==
          "POST /x HTTP/1.1\r\nHost: streak\r\nConnection: close\r\nContent-Type: application/json\r\n"
          "Content-Length: 2\r\n\r\n{}");
}

TEST_CASE("cli: answers in pieces of every size") {
    const std::string_view bytes =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        AnswerReader reader;
        for (std::size_t i = 0; i < bytes.size(); i += size) REQUIRE(reader.feed(bytes.substr(i, size)));
        REQUIRE(reader.done());
        CHECK(reader.answer().status == 404);
        CHECK(reader.answer().body == "abcde");
    }
}

TEST_CASE("cli: answers that end with the connection, and those that end too early") {
    AnswerReader whole;
    CHECK(whole.feed("HTTP/1.0 200 OK\r\n\r\nabc"));
    CHECK(whole.feed({}));
    CHECK(whole.done());
    CHECK(whole.answer().body == "abc");
    AnswerReader cut;
    CHECK(cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"));
    CHECK_FALSE(cut.feed({}));
    AnswerReader noise;
    CHECK_FALSE(noise.feed("SSH-2.0\r\n"));
}

namespace {

HostFacts good_host() {
    return {.hypervisor = "xen",
            .extra = ".0-streak",
            .control_domain = true,
            .xenfs = true,
            .root = true,
            .devices = {"privcmd", "evtchn", "gntdev", "gntalloc"},
            .modules = {"xen-blkback", "xen-netback", "loop"},
            .bridges = {"br0"},
            .daemons = {{"streakd", {}}},
            .free_kib = 1 << 20,
            .cpus = 2};
}

Check check_named(const HostFacts& facts, std::string_view name) {
    for (auto& check : examine(facts))
        if (check.name == name) return check;
    return {Check::State::good, "there is none", {}, {}};
}

} // namespace

TEST_CASE("cli: doctor has nothing to say about a good host") {
    for (const auto& check : examine(good_host())) {
        CHECK(check.state == Check::State::good);
        CHECK(check.remedy.empty());
    }
}

TEST_CASE("cli: doctor names what is missing and the remedy") {
    using State = Check::State;
    auto facts = good_host();
    facts.devices = {"privcmd"};
    CHECK(check_named(facts, "/dev/xen") == Check{State::bad, "/dev/xen", "missing: evtchn gntdev gntalloc",
                                                  "modprobe -a xen-privcmd xen-evtchn xen-gntdev xen-gntalloc"});
    facts.modules.erase("loop");
    CHECK(check_named(facts, "modules") == Check{State::bad, "modules", "missing: loop", "modprobe -a loop"});
    facts.hypervisor.clear();
    CHECK(check_named(facts, "hypervisor").state == State::bad);
    facts.hypervisor = "xen";
    facts.extra = ".4";
    CHECK(check_named(facts, "hypervisor").state == State::warning);
    facts.control_domain = false;
    CHECK(check_named(facts, "control domain").found == "no, a guest");
    facts.xenfs = false;
    CHECK(check_named(facts, "xenfs").remedy == "mount -t xenfs xenfs /proc/xen");
    facts.root = false;
    CHECK(check_named(facts, "user").state == State::warning);
    facts.bridges.clear();
    CHECK(check_named(facts, "bridge").state == State::warning);
    facts.free_kib = 1024;
    CHECK(check_named(facts, "free memory").state == State::warning);
    facts.free_kib.reset();
    CHECK(check_named(facts, "free memory").found.starts_with("unknown"));
    facts.daemons = {
        {"streakd", base::Error{base::ErrorKind::unavailable, "streakd is not running", {}, {}, "start it"}}};
    CHECK(check_named(facts, "streakd") == Check{State::bad, "streakd", "streakd is not running", "start it"});
}

TEST_CASE("cli: doctor's report") {
    CHECK(checks_text({{Check::State::good, "CPUs", "2", {}}, {Check::State::bad, "xenfs", "not mounted", "mount it"}},
                      false) == "ok       CPUs             2\n"
                                "FAILED   xenfs            not mounted\n"
                                "         → mount it\n");
}
