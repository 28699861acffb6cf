// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "base/log.hpp"

using namespace streak::base;

TEST_CASE("a log line has a level for systemd and a name for people", "[base]") {
    CHECK(log_line(LogLevel::warning, "disk full") == "<4>disk full\n");
    CHECK(log_line(LogLevel::error, "disk full", "streakd") == "streakd: disk full\n");
}

TEST_CASE("text of a guest can't start another line or move the cursor", "[base]") {
    CHECK(log_line(LogLevel::info, "a\n<3>b\x1b[2J\x7f") == "<6>a\\x0a<3>b\\x1b[2J\\x7f\n");
    CHECK(log_line(LogLevel::info, "\xc3\xbc") == "<6>\xc3\xbc\n");
}
