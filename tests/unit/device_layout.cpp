// SPDX-License-Identifier: GPL-2.0-only
#include "device/layout.hpp"

#include "device/handshake.hpp"

#include <algorithm>
#include <map>

#include <catch2/catch_test_macros.hpp>

using namespace streak;
using namespace streak::device;

namespace {

std::map<std::string, std::string> written(const Changes& changes) {
    std::map<std::string, std::string> nodes;
    for (const auto& change : changes)
        if (change.kind == store::Client::Change::Kind::write) nodes[change.path] = change.value;
    return nodes;
}

} // namespace

TEST_CASE("device: disk targets have the numbers that xen-blkfront expects") {
    CHECK(disk_number("xvda") == 51712u);
    CHECK(disk_number("xvdb") == 51728u);
    CHECK(disk_number("xvda1") == 51713u);
    CHECK(disk_number("xvdp15") == (202u << 8 | 255));
    CHECK(disk_number("xvdq") == (1u << 28 | 16u << 8));
    CHECK(disk_number("xvdaa") == (1u << 28 | 26u << 8));
    CHECK(disk_number("sda") == (8u << 8));
    CHECK(disk_number("hdb") == (3u << 8 | 64));
}

TEST_CASE("device: a target that is no disk's name is refused") {
    for (const char* target :
         {"", "xvd", "xvdA", "xvdaaaaa", "xvda0", "xvda256", "xvda01", "sdq", "hde", "vda", "xvda1x"}) {
        const auto number = disk_number(target);
        INFO(target);
        REQUIRE_FALSE(number);
        CHECK(number.error().kind == base::ErrorKind::invalid);
    }
}

TEST_CASE("device: a disk has what xen-blkback and xen-blkfront read") {
    Changes changes;
    const Address at{DomId(5), Kind::disk, 51712};
    add_disk(changes, at, {.path = "/d.img", .target = "xvda", .read_only = true}, {7, 10});
    const auto nodes = written(changes);
    const std::string back = "/local/domain/0/backend/vbd/5/51712", front = "/local/domain/5/device/vbd/51712";
    CHECK(nodes.at(back + "/physical-device") == "7:a");
    CHECK(nodes.at(back + "/mode") == "r");
    CHECK(nodes.at(back + "/frontend") == front);
    CHECK(nodes.at(back + "/frontend-id") == "5");
    CHECK(nodes.at(back + "/online") == "1");
    CHECK(nodes.at(back + "/dev") == "xvda");
    CHECK(nodes.at(front + "/backend") == back);
    CHECK(nodes.at(front + "/virtual-device") == "51712");
    CHECK(nodes.at(front + "/device-type") == "disk");
    CHECK(nodes.at(front + "/state") == "1");
}

TEST_CASE("device: an interface has what xen-netback and xen-netfront read") {
    Changes changes;
    const Address at{DomId(5), Kind::interface, 1};
    config::Interface interface;
    interface.bridge = "br0";
    interface.mac = {0, 0x16, 0x3e, 1, 2, 3};
    interface.outbound_kib_per_s = 1000;
    add_interface(changes, at, interface);
    const auto nodes = written(changes);
    const std::string back = "/local/domain/0/backend/vif/5/1", front = "/local/domain/5/device/vif/1";
    CHECK(nodes.at(back + "/mac") == "00:16:3e:01:02:03");
    CHECK(nodes.at(front + "/mac") == "00:16:3e:01:02:03");
    CHECK(nodes.at(back + "/handle") == "1");
    CHECK(nodes.at(back + "/script") == "");
    CHECK(nodes.at(back + "/rate") == "51200,50000");
    CHECK_FALSE(nodes.contains(back + "/hotplug-status"));
    CHECK(at.vif() == "vif5.1");
}

TEST_CASE("device: guests may write their own end only") {
    Changes changes;
    const Address at{DomId(5), Kind::disk, 51712};
    add_disk(changes, at, {.path = "/d.img", .target = "xvda"}, {7, 0});
    const auto permissions = [&](const std::string& path) {
        const auto found = std::ranges::find_if(changes, [&](const auto& change) {
            return change.kind == store::Client::Change::Kind::permissions && change.path == path;
        });
        return found == changes.end() ? std::string() : found->value;
    };
    CHECK(permissions(at.frontend()) == "n5 r0");
    CHECK(permissions(at.backend()) == "n0 r5");
}

TEST_CASE("device: states of guests are read with suspicion") {
    CHECK(parse_state("4") == State::connected);
    CHECK(parse_state("8") == State::reconfigured);
    for (const char* text : {"", "9", "-1", "44", "x", " 4"}) CHECK(parse_state(text) == State::unknown);
    CHECK(parse_state(std::nullopt) == State::unknown);
}

TEST_CASE("device: attaching is done when both ends are connected, whichever is first") {
    for (const bool front_first : {true, false}) {
        Attach machine(Kind::disk);
        CHECK(machine.saw({State::initialising, State::initialising}) == Progress::waiting);
        CHECK(machine.saw({State::initialising, State::init_wait}) == Progress::waiting);
        const Ends half =
            front_first ? Ends{State::connected, State::init_wait} : Ends{State::initialised, State::connected};
        CHECK(machine.saw(half) == Progress::waiting);
        CHECK(machine.saw({State::connected, State::connected}) == Progress::done);
    }
    Attach jump(Kind::disk);
    CHECK(jump.saw({State::connected, State::connected}) == Progress::done);
}

TEST_CASE("device: attaching fails when the backend gives up or disappears") {
    Attach closed(Kind::disk);
    CHECK(closed.saw({State::initialising, State::init_wait}) == Progress::waiting);
    CHECK(closed.saw({State::initialising, State::closing}) == Progress::failed);
    CHECK(closed.failure("22 creating vbd structure").remedy.find("22 creating") != std::string::npos);
    Attach gone(Kind::interface);
    CHECK(gone.saw({State::initialising, State::initialising}) == Progress::waiting);
    CHECK(gone.saw({State::initialising, State::unknown}) == Progress::failed);
}

TEST_CASE("device: every pair of states has an answer, in any order") {
    // A guest may write anything at any time: the machines never do more than wait, end or fail.
    for (const Kind kind : {Kind::disk, Kind::interface}) {
        Attach attach(kind);
        Detach detach(kind);
        for (unsigned seed = 1, i = 0; i < 5000; ++i) {
            seed = seed * 1103515245 + 12345;
            const Ends ends{static_cast<State>((seed >> 16) % 9), static_cast<State>((seed >> 20) % 9)};
            const bool both = ends == Ends{State::connected, State::connected};
            CHECK((attach.saw(ends) == Progress::done) == both);
            (void)detach.saw(ends);
            CHECK_FALSE(attach.failure().what.empty());
            CHECK_FALSE(detach.failure().remedy.empty());
        }
    }
}

TEST_CASE("device: a failed attach says who did not answer") {
    Attach nobody(Kind::disk);
    (void)nobody.saw({State::initialising, State::initialising});
    CHECK(nobody.failure().kind == base::ErrorKind::unavailable);
    CHECK(nobody.failure().remedy.find("xen-blkback") != std::string::npos);
    Attach guest(Kind::interface);
    (void)guest.saw({State::initialising, State::init_wait});
    CHECK(guest.failure().kind == base::ErrorKind::timeout);
    CHECK(guest.failure().remedy.find("guest did not answer") != std::string::npos);
}

TEST_CASE("device: detaching waits for both ends, and not for a guest that never began") {
    Detach used(Kind::disk);
    CHECK(used.saw({State::connected, State::closing}) == Progress::waiting);
    CHECK(used.saw({State::closing, State::closing}) == Progress::waiting);
    CHECK(used.saw({State::closed, State::closing}) == Progress::waiting);
    CHECK(used.saw({State::closed, State::closed}) == Progress::done);
    Detach unused(Kind::disk);
    CHECK(unused.saw({State::initialising, State::closing}) == Progress::done);
    Detach vanished(Kind::disk);
    CHECK(vanished.saw({State::closed, State::unknown}) == Progress::done);
    Detach busy(Kind::disk);
    (void)busy.saw({State::connected, State::closing});
    CHECK(busy.failure().remedy.find("guest did not answer") != std::string::npos);
}
