// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Tests are written for Catch2 version 3, where the macros live in this header. Debian 12 packages version 2,
// a single header: this file leads from the one name to the other. It is only found where version 3 is not
// installed (tests/unit/unit.mk).

#include <catch2/catch.hpp>
