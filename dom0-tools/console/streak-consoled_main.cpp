// SPDX-License-Identifier: GPL-2.0-only
#include "console/daemon.hpp"

int main(int argc, char** argv) { return streak::console::run_daemon(argc, argv); }
