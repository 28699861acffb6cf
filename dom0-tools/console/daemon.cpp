// SPDX-License-Identifier: GPL-2.0-only
#include "console/daemon.hpp"

#include <cstdio>

#include <getopt.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/io.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "console/discovery.hpp"
#include "hv/privcmd.hpp"

namespace streak::console {

namespace {

constexpr const char* usage_text = R"(usage: streak-consoled [OPTION]...
Logs the consoles of all guests and gives each a pseudo terminal.

  --log-kib=N    rotate a guest's log at N KiB (1024)
  --log-files=N  keep N old files of it (3)
  --all-mib=N    keep at most N MiB of logs of guests that are no more (256)
  --help
)";

/// One of the limits by its option's letter. False: the text is no number up to 2^30.
bool set(LogLimits& limits, int letter, std::string_view text) {
    const auto value = base::parse_number(text);
    if (!value || *value > 1u << 30) return false;
    if (letter == 'k') limits.bytes = *value << 10;
    if (letter == 'f') limits.old_files = static_cast<unsigned>(*value);
    if (letter == 'a') limits.all_bytes = *value << 20;
    return true;
}

/// The options, or the exit status.
std::expected<LogLimits, int> parse(int argc, char** argv) {
    static constexpr option options[] = {{"log-kib", required_argument, nullptr, 'k'},
                                         {"log-files", required_argument, nullptr, 'f'},
                                         {"all-mib", required_argument, nullptr, 'a'},
                                         {"help", no_argument, nullptr, 'h'},
                                         {}};
    LogLimits limits;
    for (int letter = 0; (letter = ::getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        if (letter == 'h') {
            std::fputs(usage_text, stdout);
            return std::unexpected(0);
        }
        if (letter == '?') return std::unexpected(2);
        if (!set(limits, letter, optarg)) {
            std::fprintf(stderr, "streak-consoled: \"%s\" is no number up to 2^30\n", optarg);
            return std::unexpected(2);
        }
    }
    if (optind == argc) return limits;
    std::fprintf(stderr, "streak-consoled: \"%s\" is not understood\n%s", argv[optind], usage_text);
    return std::unexpected(2);
}

/// Two files for each guest.
void allow_many_files() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

base::Outcome<int> run(const LogLimits& limits) {
    TRY_ASSIGN(loop, base::make_event_loop());
    sd_event* const event = loop.get();
    allow_many_files();
    const std::string folder = base::rooted("/var/log/streak/console");
    TRY(base::make_directory(folder));
    TRY_ASSIGN(port, hv::Privcmd::open());
    TRY_ASSIGN(consoles, Consoles::open(event, {folder, limits}));
    hv::Hypervisor hypervisor(*port);
    Discovery discovery(event, hypervisor, *consoles);
    discovery.connect();
    const int status = sd_event_loop(event);
    sd_notify(0, "STOPPING=1");
    return status < 0 ? 1 : 0;
}

} // namespace

int run_daemon(int argc, char** argv) {
    const auto limits = parse(argc, argv);
    if (!limits) return limits.error();
    ::umask(027);
    const auto status = run(*limits);
    if (status) return *status;
    base::log(base::LogLevel::error, status.error().text());
    return 1;
}

} // namespace streak::console
