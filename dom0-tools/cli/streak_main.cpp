// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verb.hpp"

int main(int argc, char** argv) { return streak::cli::run({argv + 1, argv + argc}); }
