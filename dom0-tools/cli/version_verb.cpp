// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

namespace streak::cli {
namespace {

constexpr std::string_view version = "4.17.0-streak";

} // namespace

/// The version of this program; that of the running hypervisor is `info`'s to tell.
Action declare_version(Options&) {
    return [](Context& context) -> Outcome<> {
        const std::string text(version);
        context.print({{"schema", "streak.version/1"}, {"version", text}}, "streak " + text + '\n');
        return {};
    };
}

} // namespace streak::cli
