// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "hv/device.hpp"
#include "hv/event_channels.hpp"
#include "hv/grants.hpp"
#include "hv/privcmd.hpp"

#include <unistd.h>

using namespace streak;
using namespace streak::hv;

TEST_CASE("without the devices, errors name what is missing and the remedy", "[hv]") {
    if (::access("/dev/xen", F_OK) == 0) return; // on a control domain they are there
    const auto privcmd = Privcmd::open();
    REQUIRE_FALSE(privcmd);
    CHECK(privcmd.error().kind == base::ErrorKind::unavailable);
    CHECK(privcmd.error().what == "can't open /dev/xen/privcmd");
    CHECK(privcmd.error().text().find("(ENOENT)") != std::string::npos);
    CHECK_FALSE(privcmd.error().remedy.empty());
    CHECK(EventChannels::open().error().what == "can't open /dev/xen/evtchn");
    CHECK(GrantDevice::open().error().what == "can't open /dev/xen/gntdev");
    CHECK(open_device("nothing").error().what == "can't open /dev/xen/nothing");
}

TEST_CASE("an error of a device tells permission from absence", "[hv]") {
    CHECK(device_error("evtchn", Errno::EACCES).kind == base::ErrorKind::refused);
    CHECK(device_error("evtchn", Errno::EACCES).remedy == "Run this as root");
    CHECK(device_error("evtchn", Errno::ENOENT).kind == base::ErrorKind::unavailable);
}
