// SPDX-License-Identifier: GPL-2.0-only
#include <cstdio>
#include <cstring>

#include "base/log.hpp"
#include "store/daemon.hpp"

namespace {

constexpr char usage[] = "usage: streak-stored [--sockets-only]\n"
                         "Serves the store to domains and, at /run/xenstored/socket, to tools (docs/store.md).\n"
                         "  --sockets-only  without a hypervisor, for tests\n";

} // namespace

int main(int count, char** arguments) {
    streak::store::DaemonOptions options;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--sockets-only") == 0) {
            options.sockets_only = true;
            continue;
        }
        const bool help = std::strcmp(arguments[i], "--help") == 0;
        std::fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    const auto ended = streak::store::run_daemon(options);
    if (ended) return 0;
    streak::base::log(streak::base::LogLevel::error, ended.error().text());
    return 1;
}
