// SPDX-License-Identifier: GPL-2.0-only
#include "manager_world.hpp"

#include <catch2/catch_test_macros.hpp>
#include <xen/sched.h>

using namespace streak;
using namespace streak::test;

namespace {

std::vector<std::string> event_words(World& world) {
    std::vector<std::string> words;
    for (const std::string& event : world.manager->events().after(0, std::chrono::milliseconds(0)).events) {
        const auto start = event.find("\"event\":\"") + 9;
        words.push_back(event.substr(start, event.find('"', start) - start));
    }
    return words;
}

} // namespace

TEST_CASE("life: a created domain runs, and its end leaves nothing") {
    World world;
    const std::string before = world.everything();
    const auto web = world.create(definition("web", disk_xml + nic_xml));
    REQUIRE(web);
    const DomId id = (*web)->running->id;
    CHECK(world.port.find(id)->pauses == 0);
    CHECK(world.store.introduced == std::vector{id});
    CHECK(world.store.nodes.at("/local/domain/1/name") == "web");
    CHECK(world.store.nodes.at("/local/domain/1/vm") == std::string("/vm/") + web_uuid);
    CHECK(world.store.nodes.at("/local/domain/1/cpu/0/availability") == "online");
    CHECK(world.store.nodes.at("/local/domain/1/cpu/1/availability") == "offline");
    CHECK(world.store.nodes.at("/local/domain/1/memory/target") == "8192");
    CHECK(world.store.nodes.at("/local/domain/0/backend/vif/1/0/hotplug-status") == "connected");
    CHECK(world.host.connected == std::vector<std::string>{"vif1.0"});
    CHECK(world.host.loops().size() == 1);
    REQUIRE(world.manager->destroy("web"));
    CHECK(world.everything() == before);
    CHECK_FALSE(world.manager->registry().find("web"));
    CHECK(event_words(world) == std::vector<std::string>{"started", "destroyed"});
}

TEST_CASE("life: what is done already succeeds") {
    World world;
    REQUIRE(world.define(definition("web")));
    REQUIRE(world.manager->start("web", true));
    CHECK(world.manager->start("web", false));
    CHECK(world.manager->pause("web"));
    CHECK(world.manager->unpause("web"));
    CHECK(world.manager->unpause("web"));
    CHECK(world.port.find(DomId(1))->pauses == 0);
    CHECK(world.manager->pause("web"));
    CHECK(world.manager->pause("web"));
    CHECK(world.port.find(DomId(1))->pauses == 1);
    CHECK(world.manager->destroy(web_uuid));
    CHECK(world.manager->destroy(web_uuid));
    CHECK(world.manager->undefine("web"));
    CHECK(world.manager->destroy(web_uuid)); // gone, and asked for by UUID
    CHECK(world.manager->destroy("web").error().kind == base::ErrorKind::not_found);
}

TEST_CASE("life: names and UUIDs are taken once") {
    World world;
    REQUIRE(world.create(definition("web")));
    CHECK(world.create(definition("web")).error().kind == base::ErrorKind::conflict);
    REQUIRE(world.create(definition("db")));
    CHECK(world.manager->rename("db", "web").error().kind == base::ErrorKind::conflict);
    CHECK(world.guests() == 2);
}

TEST_CASE("xl 1, 9: domain 0 is never touched") {
    World world;
    world.store.nodes["/local/domain/0/name"] = "Domain-0";
    const std::string before = world.everything();
    for (const char* ref : {"0", "Domain-0"}) {
        CHECK(world.manager->destroy(ref).error().kind == base::ErrorKind::refused);
        CHECK(world.manager->pause(ref).error().kind == base::ErrorKind::refused);
        CHECK(world.manager->ask(ref, manager::Ask::poweroff, {}).error().kind == base::ErrorKind::refused);
    }
    CHECK(world.everything() == before);
}

TEST_CASE("xl 7: names that would be taken for something else are refused") {
    World world;
    REQUIRE(world.define(definition("web")));
    for (const char* name : {"", "a/b", "7", "11111111-2222-3333-4444-555555555555"}) {
        INFO(name);
        CHECK(world.manager->rename("web", name).error().kind == base::ErrorKind::invalid);
    }
    CHECK(world.manager->registry().find("web"));
}

TEST_CASE("xl 11: a kernel that is not there is the one thing the error says") {
    World world;
    const std::string before = world.everything();
    const auto created = world.create(definition("web", {}, {}, "/nope"));
    REQUIRE_FALSE(created);
    CHECK(created.error().text() == "there is no kernel /nope");
    CHECK(world.everything() == before);
}

TEST_CASE("xl 12: too little memory is told with what is needed and what is there") {
    World world;
    world.port.find(DomId(0))->frames.clear();
    REQUIRE(world.create(definition("a"), true));
    while (true) {
        static int number = 0;
        const auto next = world.create(definition("g" + std::to_string(number++)), true);
        if (next) continue;
        CHECK(next.error().kind == base::ErrorKind::resources);
        CHECK(next.error().expected.find("KiB") != std::string::npos);
        CHECK(next.error().found.find("KiB free") != std::string::npos);
        break;
    }
}

TEST_CASE("xl 27: a bridge, file or module that is missing is named before anything is made") {
    World world;
    const std::string before = world.everything();
    world.host.bridges.clear();
    CHECK(world.create(definition("web", nic_xml)).error().what.find("bridge br0") != std::string::npos);
    world.host.files.clear();
    CHECK(world.create(definition("web", disk_xml)).error().what.find("/d.img") != std::string::npos);
    world.host.modules.clear();
    CHECK(world.create(definition("web", disk_xml)).error().kind == base::ErrorKind::unavailable);
    CHECK(world.everything() == before);
    CHECK(world.store.requests == 0);
}

TEST_CASE("life: a disk that another guest writes is refused") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml)));
    const auto second = world.create(definition("db", disk_xml));
    REQUIRE_FALSE(second);
    CHECK(second.error().kind == base::ErrorKind::conflict);
    CHECK(second.error().what.find("web") != std::string::npos);
    REQUIRE(world.manager->rename("web", "shop"));
    CHECK(world.create(definition("db", disk_xml)).error().what.find("shop") != std::string::npos);
    REQUIRE(world.manager->destroy("shop"));
    CHECK(world.create(definition("db", disk_xml)));
}

TEST_CASE("life: a reboot keeps UUID and name, and gets a new number") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml + nic_xml)));
    world.now_s += 60;
    world.end_guest("web", SHUTDOWN_reboot);
    const auto web = *world.manager->registry().find("web");
    REQUIRE(web->running);
    CHECK(web->running->id == DomId(2));
    CHECK(web->uuid.text() == web_uuid);
    CHECK(web->reason == "reboot");
    CHECK(world.guests() == 1);
    CHECK(world.host.loops().size() == 1);
    CHECK_FALSE(world.store.nodes.contains("/local/domain/1"));
    CHECK(event_words(world) == std::vector<std::string>{"started", "rebooted", "started"});
}

TEST_CASE("xl 10: a guest that crashes leaves its reason, and a loop of crashes ends") {
    World world;
    REQUIRE(world.define(definition("web", {}, "<on_crash>restart</on_crash>")));
    REQUIRE(world.manager->start("web", false));
    const auto web = *world.manager->registry().find("web");
    for (int i = 0; i < 4; ++i) {
        world.now_s += 3;
        world.end_guest("web", SHUTDOWN_crash);
        REQUIRE(web->running);
    }
    world.end_guest("web", SHUTDOWN_crash);
    CHECK_FALSE(web->running);
    CHECK(web->reason == "crash");
    CHECK(world.manager->events().after(0, {}).events.back().find("5 times in a row") != std::string::npos);
    CHECK(world.guests() == 0);
}

TEST_CASE("life: a guest that ran for a while may crash as often as it likes") {
    World world;
    REQUIRE(world.create(definition("web", {}, "<on_crash>restart</on_crash>")));
    for (int i = 0; i < 12; ++i) {
        world.now_s += 60;
        world.end_guest("web", SHUTDOWN_crash);
    }
    CHECK((*world.manager->registry().find("web"))->running);
}

TEST_CASE("life: a preserved crash stays to be looked at") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml, "<on_crash>preserve</on_crash>")));
    world.end_guest("web", SHUTDOWN_crash);
    world.notice();
    CHECK(world.guests() == 1);
    CHECK((*world.manager->registry().find("web"))->reason == "crash");
    world.open();
    world.notice();
    CHECK(world.guests() == 1);
    REQUIRE(world.manager->destroy("web"));
    CHECK(world.guests() == 0);
}

TEST_CASE("life: rename-restart sets the dead domain aside") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml, "<on_crash>rename-restart</on_crash>")));
    world.now_s += 60;
    world.end_guest("web", SHUTDOWN_crash);
    const auto web = *world.manager->registry().find("web");
    const auto dead = *world.manager->registry().find("web-1");
    CHECK(web->running->id == DomId(2));
    CHECK(web->uuid.text() == web_uuid);
    CHECK(dead->running->id == DomId(1));
    CHECK(dead->running->preserved);
    CHECK(world.port.find(DomId(1))->handle == dead->uuid);
    REQUIRE(world.manager->destroy("web-1"));
    CHECK(world.guests() == 1);
}

TEST_CASE("life: a domain that another tool destroys is cleared away") {
    World world;
    const std::string before = world.everything();
    REQUIRE(world.create(definition("web", disk_xml)));
    REQUIRE(world.hypervisor.destroy_domain(DomId(1)));
    world.notice();
    CHECK_FALSE(world.manager->registry().find("web"));
    CHECK(world.everything() == before);
}

TEST_CASE("life: only one of many acts on an end") {
    World world;
    REQUIRE(world.create(definition("web")));
    world.port.find(DomId(1))->shutdown_reason = SHUTDOWN_poweroff;
    const auto ends = world.manager->find_ends();
    REQUIRE(ends.size() == 1);
    world.manager->handle_end(ends[0]);
    world.manager->handle_end(ends[0]);
    CHECK(event_words(world) == std::vector<std::string>{"started", "shutdown"});
}

TEST_CASE("xl 16: shutdown of a guest that does not listen ends in time and says so") {
    World world;
    REQUIRE(world.create(definition("web")));
    const auto asked = world.manager->ask("web", manager::Ask::poweroff, std::chrono::seconds(0));
    REQUIRE_FALSE(asked);
    CHECK(asked.error().kind == base::ErrorKind::timeout);
    CHECK(asked.error().found == "the guest did not take the request");
    world.store.nodes["/local/domain/1/control/shutdown"] = "";
    world.store.nodes.erase("/local/domain/1/control/shutdown");
    REQUIRE(world.manager->pause("web"));
    CHECK(world.manager->ask("web", manager::Ask::poweroff, {}).error().found == "a paused one");
}

TEST_CASE("life: a definition survives streakd; so does what runs") {
    World world;
    REQUIRE(world.define(definition("web", disk_xml + nic_xml)));
    REQUIRE(world.manager->set_autostart("web", true));
    REQUIRE(world.manager->start("web", false));
    REQUIRE(world.create(definition("db")));
    const std::string before = world.everything();
    world.open();
    CHECK(world.everything() == before);
    const auto web = *world.manager->registry().find("web");
    CHECK((web->persistent && web->autostart && web->running));
    CHECK(web->running->disks.size() == 1);
    CHECK(web->running->interfaces.size() == 1);
    CHECK_FALSE((*world.manager->registry().find("2"))->persistent);
    CHECK(world.create(definition("thief", disk_xml)).error().kind == base::ErrorKind::conflict);
    REQUIRE(world.manager->destroy("web"));
    REQUIRE(world.manager->destroy("db"));
    CHECK(world.guests() == 0);
    world.open();
    CHECK(world.manager->registry().find("web"));
    CHECK_FALSE(world.manager->registry().find("db"));
}

TEST_CASE("life: autostart happens once for each start of the machine") {
    World world;
    REQUIRE(world.define(definition("web")));
    REQUIRE(world.manager->set_autostart("web", true));
    world.manager->autostart();
    CHECK(world.guests() == 1);
    REQUIRE(world.manager->destroy("web"));
    world.open();
    world.manager->autostart();
    CHECK(world.guests() == 0);
    std::filesystem::remove_all(world.root / "run");
    world.open();
    world.manager->autostart();
    CHECK(world.guests() == 1);
}

TEST_CASE("life: a new name reaches store, definition and records") {
    World world;
    REQUIRE(world.define(definition("web")));
    REQUIRE(world.manager->start("web", false));
    REQUIRE(world.manager->rename("web", "shop & co"));
    CHECK(world.store.nodes.at("/local/domain/1/name") == "shop & co");
    world.open();
    const auto shop = world.manager->registry().find("shop & co");
    REQUIRE(shop);
    CHECK((*shop)->uuid.text() == web_uuid);
    CHECK(config::parse_xml((*shop)->xml).definition.name == "shop & co");
}

TEST_CASE("xl 6, 8, 15: memory and vCPUs change within what the guest can, or not at all") {
    World world;
    REQUIRE(world.create(definition("web")));
    CHECK(world.manager->set_memory("web", 32768).error().expected.find("16384") != std::string::npos);
    CHECK(world.manager->set_memory("web", 0).error().kind == base::ErrorKind::invalid);
    REQUIRE(world.manager->set_memory("web", 12288));
    CHECK(world.store.nodes.at("/local/domain/1/memory/target") == "12288");
    CHECK(world.port.find(DomId(1))->max_pages == 12288 / 4);
    CHECK(world.manager->set_vcpus("web", 0).error().kind == base::ErrorKind::invalid);
    CHECK(world.manager->set_vcpus("web", 3).error().kind == base::ErrorKind::invalid);
    REQUIRE(world.manager->set_vcpus("web", 2));
    CHECK(world.store.nodes.at("/local/domain/1/cpu/1/availability") == "online");
    CHECK(world.manager->pin("web", 5, {0}).error().kind == base::ErrorKind::invalid);
    CHECK(world.manager->pin("web", 0, {}).error().kind == base::ErrorKind::invalid);
    CHECK(world.manager->pin("web", 0, {99}).error().kind == base::ErrorKind::invalid);
    REQUIRE(world.manager->pin("web", {}, {1}));
    CHECK(world.port.find(DomId(1))->hard.at(1) == std::set<unsigned>{1});
    CHECK(world.manager->set_share("web", 0, {}).error().kind == base::ErrorKind::invalid);
    REQUIRE(world.manager->set_share("web", 512, {}));
    REQUIRE(world.manager->set_share("web", {}, 50));
    CHECK(world.port.find(DomId(1))->weight == 512);
    CHECK(world.port.find(DomId(1))->cap == 50);
}

TEST_CASE("life: the messages and hypercalls of a create and a destroy are few, and as many for every guest") {
    World world;
    std::vector<unsigned> hypercalls, messages;
    for (int i = 0; i < 20; ++i) {
        world.store.requests = 0;
        world.port.forget_calls();
        const std::string name = "g" + std::to_string(i);
        const std::string file = "/disk" + std::to_string(i);
        world.host.files.insert(file);
        std::string disk = disk_xml;
        disk.replace(disk.find("/d.img"), 6, file);
        REQUIRE(world.create(definition(name, disk + nic_xml)));
        hypercalls.push_back(world.port.calls());
        messages.push_back(world.store.requests);
    }
    CHECK(hypercalls.front() <= 100);
    CHECK(messages.front() <= 40);
    CHECK(hypercalls.back() == hypercalls[1]);
    CHECK(messages.back() == messages[1]);
    world.store.drivers_look();
    world.store.requests = 0;
    REQUIRE(world.manager->destroy("g3"));
    CHECK(world.store.requests <= 15);
}

TEST_CASE("life: what dom0's drivers write while they look at the devices of a domain that fails or ends is removed") {
    World world;
    // They take their time: while nobody waits for them, they do nothing.
    world.store.react = [&] { return world.store.drivers_look(); };
    REQUIRE(world.create(definition("first", nic_xml)));
    REQUIRE(world.manager->destroy("first"));
    const std::string before = world.everything();
    world.patience = std::chrono::seconds(60);
    world.open();
    // At its last sight of a device a driver connects it, or complains that it is gone.
    unsigned sights = 0;
    world.host.held_by_driver = [&](const device::Address& at) {
        if (++sights > 2) return false;
        world.store.nodes[at.error_node()] = "2 reading mode";
        world.store.nodes[at.backend() + "/sectors"] = "2048";
        return true;
    };
    SECTION("a create that fails") {
        world.host.fail_vifs = true;
        CHECK(!world.create(definition("web", disk_xml + nic_xml)));
        CHECK(!world.store.drivers_look());
    }
    SECTION("a destroy") {
        REQUIRE(world.create(definition("web", disk_xml + nic_xml)));
        REQUIRE(world.manager->destroy("web"));
        CHECK(!world.store.drivers_look());
    }
    CHECK(sights > 2);
    CHECK(world.everything() == before);
}
