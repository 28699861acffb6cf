// SPDX-License-Identifier: GPL-2.0-only
#include "manager_world.hpp"

#include <catch2/catch_test_macros.hpp>
#include <xen/sched.h>

// Every effect of every change fails in turn, and streakd dies before every one of them in turn.

using namespace streak;
using namespace streak::test;

namespace {

/// A guest and backends that answer at once.
void answer_devices(World& world) {
    world.store.react = [&world] {
        bool changed = false;
        for (auto& [path, value] : world.store.nodes) {
            if (!path.ends_with("/state") || path.find("/vbd/") == path.npos) continue;
            const std::string before = value;
            if (value == "1") value = "4";
            else if (value == "5") value = "6";
            else if (path.find("/device/") != path.npos) {
                std::string backend = world.store.nodes[path.substr(0, path.size() - 5) + "backend"] + "/state";
                if (world.store.nodes[backend] == "5" || world.store.nodes[backend] == "6") value = "6";
            }
            changed |= value != before;
        }
        return changed;
    };
}

struct Change {
    const char* name;
    std::function<void(World&)> prepare;
    std::function<void(World&)> act;
};

const Change changes[] = {
    {"create", [](World&) {}, [](World& w) { (void)w.create(definition("web", disk_xml + nic_xml)); }},
    {"start", [](World& w) { REQUIRE(w.define(definition("web", disk_xml + nic_xml))); },
     [](World& w) { (void)w.manager->start("web", false); }},
    {"destroy", [](World& w) { REQUIRE(w.create(definition("web", disk_xml + nic_xml))); },
     [](World& w) { (void)w.manager->destroy("web"); }},
    {"restart",
     [](World& w) {
         REQUIRE(w.create(definition("web", disk_xml + nic_xml)));
         w.port.find(DomId(1))->shutdown_reason = SHUTDOWN_reboot;
     },
     [](World& w) { w.notice(); }},
    {"rename-restart",
     [](World& w) {
         REQUIRE(w.create(definition("web", disk_xml, "<on_crash>rename-restart</on_crash>")));
         w.port.find(DomId(1))->shutdown_reason = SHUTDOWN_crash;
     },
     [](World& w) { w.notice(); }},
    {"rename",
     [](World& w) {
         REQUIRE(w.define(definition("web")));
         REQUIRE(w.manager->start("web", false));
     },
     [](World& w) { (void)w.manager->rename("web", "shop"); }},
    {"attach", [](World& w) { REQUIRE(w.create(definition("web"))); },
     [](World& w) { (void)w.attach("web", disk_xml); }},
    {"detach", [](World& w) { REQUIRE(w.create(definition("web", disk_xml))); },
     [](World& w) { (void)w.manager->detach_disk("web", "xvda", false); }},
};

/// What must be true whatever happened.
void check_sound(World& world) {
    std::size_t running = 0;
    for (const auto& domain : world.manager->registry().all()) {
        if (!domain->running) continue;
        ++running;
        const auto* in_hypervisor = world.port.find(domain->running->id);
        REQUIRE(in_hypervisor);
        CHECK(in_hypervisor->handle == domain->uuid);
        const std::string path = "/local/domain/" + std::to_string(domain->running->id.raw());
        CHECK(world.store.nodes[path + "/name"] == domain->name);
        for (const auto& disk : domain->running->disks)
            CHECK(world.store.nodes.contains(domain->running->at(disk).backend() + "/state"));
    }
    CHECK(world.guests() == running);
    for (const auto& [path, value] : world.store.nodes) {
        INFO(path);
        unsigned id = 0;
        if (std::sscanf(path.c_str(), "/local/domain/%u/", &id) == 1 && id != 0)
            CHECK(world.port.find(DomId(static_cast<std::uint16_t>(id))));
        if (std::sscanf(path.c_str(), "/local/domain/0/backend/%*[a-z]/%u/", &id) == 1)
            CHECK(world.port.find(DomId(static_cast<std::uint16_t>(id))));
    }
    CHECK(std::filesystem::file_size(world.root / "run/streak/journal") == 0);
}

} // namespace

TEST_CASE("faults: whichever step fails, nothing is left behind and all can be ended", "[faults]") {
    for (const Change& change : changes) {
        for (unsigned step = 1;; ++step) {
            INFO(change.name << ", step " << step);
            World world;
            answer_devices(world);
            const std::string empty = world.everything();
            change.prepare(world);
            world.steps.reset();
            world.steps.fail_at = step;
            change.act(world);
            if (!world.steps.failed) break;
            world.steps.reset();
            world.notice();
            check_sound(world);
            for (const auto& domain : world.manager->registry().all())
                REQUIRE(world.manager->destroy(domain->uuid.text()));
            CHECK(world.everything() == empty);
        }
    }
}

TEST_CASE("faults: a failed create leaves all as it was", "[faults]") {
    for (unsigned step = 1;; ++step) {
        INFO("step " << step);
        World world;
        const std::string before = world.everything();
        world.steps.fail_at = step;
        const auto created = world.create(definition("web", disk_xml + nic_xml));
        if (!world.steps.failed) break;
        // Reports may fail without harm; all else undoes everything.
        if (!created) CHECK(world.everything() == before);
        if (!created) CHECK_FALSE(world.manager->registry().find("web"));
    }
}

TEST_CASE("faults: wherever streakd is killed, the next one ends or undoes what was going on", "[faults]") {
    for (const Change& change : changes) {
        for (unsigned step = 1;; ++step) {
            INFO(change.name << ", killed before step " << step);
            World world;
            answer_devices(world);
            const std::string empty = world.everything();
            change.prepare(world);
            world.steps.reset();
            world.steps.kill_at = step;
            change.act(world);
            if (!world.steps.dead) break;
            world.revive();
            world.notice();
            check_sound(world);
            for (const auto& domain : world.manager->registry().all())
                REQUIRE(world.manager->destroy(domain->uuid.text()));
            CHECK(world.everything() == empty);
        }
    }
}

TEST_CASE("faults: the next streakd may be killed as well", "[faults]") {
    for (unsigned step = 1;; ++step) {
        INFO("killed before step " << step << " of the recovery");
        World world;
        REQUIRE(world.create(definition("web", disk_xml)));
        world.port.find(DomId(1))->shutdown_reason = SHUTDOWN_reboot;
        world.steps.reset();
        world.steps.kill_at = 12;
        world.notice();
        REQUIRE(world.steps.dead);
        world.steps.kill_at = step;
        world.manager.reset();
        world.revive_until(step);
        const bool finished = !world.steps.dead;
        if (!finished) world.revive();
        world.notice();
        check_sound(world);
        const auto web = world.manager->registry().find("web");
        REQUIRE(web);
        CHECK((*web)->running);
        if (finished) break;
    }
}

TEST_CASE("devices: attach and detach with a guest that answers", "[faults]") {
    World world;
    answer_devices(world);
    REQUIRE(world.create(definition("web", disk_xml)));
    CHECK(world.attach("web", disk_xml).error().kind == base::ErrorKind::conflict);
    REQUIRE(world.attach("web", other_disk_xml));
    CHECK((*world.manager->registry().find("web"))->running->disks.size() == 2);
    world.open();
    CHECK((*world.manager->registry().find("web"))->running->disks.size() == 2);
    REQUIRE(world.manager->detach_disk("web", "xvdb", false));
    CHECK((*world.manager->registry().find("web"))->running->disks.size() == 1);
    CHECK(world.manager->detach_disk("web", "xvdb", false).error().kind == base::ErrorKind::not_found);
    for (const auto& [path, value] : world.store.nodes) CHECK(path.find("51728") == path.npos);
}

TEST_CASE("xl 19, 27: a guest that does not answer keeps no half of a device", "[faults]") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml)));
    const auto attached = world.attach("web", other_disk_xml);
    REQUIRE_FALSE(attached);
    CHECK(attached.error().remedy.find("xen-blkback") != std::string::npos);
    for (const auto& [path, value] : world.store.nodes) CHECK(path.find("51728") == path.npos);
    world.store.nodes["/local/domain/1/device/vbd/51712/state"] = "4";
    world.store.nodes["/local/domain/0/backend/vbd/1/51712/state"] = "4";
    const auto detached = world.manager->detach_disk("web", "xvda", false);
    REQUIRE_FALSE(detached);
    CHECK(detached.error().kind == base::ErrorKind::timeout);
    CHECK(detached.error().remedy.find("force") != std::string::npos);
    REQUIRE(world.manager->detach_disk("web", "xvda", true));
    CHECK(world.host.loops().empty());
}
