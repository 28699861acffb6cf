// SPDX-License-Identifier: GPL-2.0-only
#include "manager_world.hpp"

#include <catch2/catch_test_macros.hpp>

#include "manager/json.hpp"
#include "manager/records.hpp"

using namespace streak;
using namespace streak::manager;
using streak::test::World;

namespace {

struct Directory {
    Directory() {
        char name[] = "/tmp/streak-test-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

const base::Uuid some_uuid = *base::Uuid::parse(test::web_uuid);

} // namespace

TEST_CASE("journal: what began and did not end is pending") {
    const Directory directory;
    const auto file = directory.path / "journal";
    const Task start{.kind = Task::Kind::start, .uuid = some_uuid, .paused = true};
    const Task rename{.kind = Task::Kind::rename, .uuid = some_uuid, .domain = 7, .text = "a name with blanks"};
    {
        auto journal = *Journal::open(file);
        auto first = journal->begin(start);
        auto second = journal->begin(rename);
        REQUIRE(first);
        REQUIRE(second);
        std::filesystem::copy(file, directory.path / "both");
        { const auto gone = std::move(*first); }
        std::filesystem::copy(file, directory.path / "one");
    }
    CHECK(std::filesystem::file_size(file) == 0);
    const auto both = *Journal::open(directory.path / "both");
    REQUIRE(both->pending().size() == 2);
    CHECK(both->pending()[0].task == start);
    CHECK(both->pending()[1].task == rename);
    const auto one = *Journal::open(directory.path / "one");
    REQUIRE(one->pending().size() == 1);
    CHECK(one->pending()[0].task == rename);
}

TEST_CASE("journal: cut anywhere, it is read up to its last whole line") {
    const Directory directory;
    std::string content;
    {
        auto journal = *Journal::open(directory.path / "journal");
        auto first = journal->begin({.kind = Task::Kind::start, .uuid = some_uuid});
        auto second = journal->begin({.kind = Task::Kind::destroy, .uuid = some_uuid, .domain = 3});
        content = *read_file(directory.path / "journal");
    }
    const std::size_t first_line = content.find('\n') + 1;
    for (std::size_t bytes = 0; bytes <= content.size(); ++bytes) {
        REQUIRE(replace_file(directory.path / "cut", content.substr(0, bytes)));
        const auto journal = *Journal::open(directory.path / "cut");
        CHECK(journal->pending().size() == (bytes == content.size() ? 2 : bytes >= first_line ? 1 : 0));
    }
}

TEST_CASE("journal: nonsense in it is no task") {
    const Directory directory;
    REQUIRE(replace_file(directory.path / "journal",
                         "begin\nbegin x y z\nend 99\nbegin 1 fly " + std::string(test::web_uuid) + " 0 0 \n\n\xff\n"));
    CHECK((*Journal::open(directory.path / "journal"))->pending().empty());
}

TEST_CASE("events: numbers go on after a restart, and the oldest are forgotten") {
    const Directory directory;
    {
        auto events = *Events::open(directory.path / "events");
        for (int i = 0; i < 6000; ++i) events->add(some_uuid, "web", "paused");
        const auto all = events->after(0, {});
        CHECK(all.last == 6000);
        CHECK(all.events.size() == Events::most_kept);
        CHECK(events->after(5999, {}).events.size() == 1);
        CHECK(events->after(6000, {}).events.empty());
        CHECK(events->after(UINT64_MAX, {}).events.empty());
    }
    auto events = *Events::open(directory.path / "events");
    events->add(some_uuid, "web", "unpaused");
    const auto last = events->after(6000, {});
    REQUIRE(last.events.size() == 1);
    CHECK(last.events[0].starts_with("{\"number\":6001,"));
    CHECK(std::filesystem::file_size(directory.path / "events") < (2 << 20));
}

TEST_CASE("events: those who wait are let go by an event, or by the end of streakd") {
    const Directory directory;
    auto events = *Events::open(directory.path / "events");
    std::thread later([&] { events->add(some_uuid, "web", "paused"); });
    CHECK(events->after(0, std::chrono::seconds(60)).events.size() == 1);
    later.join();
    std::thread stopper([&] { events->stop(); });
    CHECK(events->after(1, std::chrono::seconds(60)).events.empty());
    stopper.join();
}

TEST_CASE("json: any bytes make a string") {
    CHECK(quoted("plain") == "\"plain\"");
    CHECK(quoted("a\"b\\c\n") == "\"a\\\"b\\\\c\\n\"");
    CHECK(quoted("\xff") == "\"\xef\xbf\xbd\"");
    CHECK(std::move(Object()).text() == "{}");
    CHECK(std::move(Object().add("a", 1).add("b", true).add("c", "x").raw("d", "[]")).text() ==
          "{\"a\":1,\"b\":true,\"c\":\"x\",\"d\":[]}");
}

TEST_CASE("records: a damaged record is left alone and the others are read") {
    World world;
    REQUIRE(world.define(test::definition("web")));
    REQUIRE(world.define(test::definition("db")));
    REQUIRE(replace_file(world.root / "run/streak/domains/x.json", "{\"uuid\":"));
    REQUIRE(replace_file(world.root / "var/lib/streak/definitions" / (std::string(test::web_uuid) + ".json"), "[1]"));
    world.open();
    CHECK_FALSE(world.manager->registry().find("web"));
    CHECK(world.manager->registry().find("db"));
}

TEST_CASE("records: a definition edited by hand is read again") {
    World world;
    REQUIRE(world.define(test::definition("web")));
    const auto file = world.root / "var/lib/streak/definitions" / (std::string(test::web_uuid) + ".xml");
    REQUIRE(replace_file(file, test::definition("web", {}, {}, "/boot/other")));
    world.open();
    CHECK((*world.manager->registry().find("web"))->definition.kernel == "/boot/other");
}

TEST_CASE("disk claims: readers share, writers do not, unless all agree") {
    DiskClaims claims;
    const device::FileIdentity file{1, 2};
    config::Disk reader, writer, sharer;
    reader.read_only = sharer.shareable = true;
    auto a = claims.claim(reader, file, "a");
    REQUIRE(a);
    auto b = claims.claim(reader, file, "b");
    REQUIRE(b);
    CHECK_FALSE(claims.claim(writer, file, "c"));
    CHECK(claims.claim(writer, {1, 3}, "c"));
    { const auto gone = std::move(*a), too = std::move(*b); }
    auto c = claims.claim(sharer, file, "c");
    REQUIRE(c);
    CHECK(claims.claim(sharer, file, "d"));
    CHECK_FALSE(claims.claim(writer, file, "e"));
    CHECK_FALSE(claims.claim(reader, file, "e"));
}
