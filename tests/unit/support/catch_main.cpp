// SPDX-License-Identifier: GPL-2.0-only

// main() of the unit tests, for Catch2 version 2 (version 3 has it in a library).
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
