// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "base/text.hpp"
#include "cli/text.hpp"
#include "debug/domain_id.hpp"
#include "debug/dump.hpp"
#include "debug/previous_log.hpp"
#include "hv/privcmd.hpp"

// Verbs for those who look for a fault. They ask the hypervisor themselves, as root in the control domain.

namespace streak::cli {
namespace {

Outcome<debug::CoreFormat> core_format(const Options::Value& name) {
    if (!name || *name == "gdb") return debug::CoreFormat::gdb;
    if (*name == "crash") return debug::CoreFormat::crash;
    return base::error(base::ErrorKind::usage, "no core file is for '" + printable(*name) + "'", "gdb or crash");
}

std::string dumped_text(const debug::Dumped& dumped, const std::string& file) {
    std::string text = printable(file) + ": " + std::to_string(dumped.pages) + " pages, " +
                       std::to_string(dumped.vcpus) + (dumped.vcpus == 1 ? " vCPU\n" : " vCPUs\n");
    if (dumped.skipped != 0) text += "left out: " + std::to_string(dumped.skipped) + " pages of other domains\n";
    if (!dumped.complete) text += "left out: what page tables map that can't be read, or that have no end\n";
    return text;
}

Outcome<> dump(Context& context, const std::string& domain, const std::string& file, const Options::Value& format_name,
               bool force) {
    if (file.empty()) return base::error(base::ErrorKind::usage, "the name of the file is empty");
    TRY_ASSIGN(format, core_format(format_name));
    TRY_ASSIGN(id, domain_id(context, domain));
    TRY_ASSIGN(port, hv::Privcmd::open());
    hv::Hypervisor hypervisor(*port);
    TRY_ASSIGN(dumped, debug::dump(hypervisor, id, format, file, force, [&](std::uint64_t done, std::uint64_t all) {
                   context.progress("dumping " + printable(domain), done, all);
               }));
    return context.print({{"schema", "streak.dump/1"},
                          {"file", file},
                          {"pages", dumped.pages},
                          {"vcpus", dumped.vcpus},
                          {"skipped", dumped.skipped},
                          {"complete", dumped.complete}},
                         dumped_text(dumped, file));
}

} // namespace

Outcome<> show_previous_log(Context& context) {
    TRY_ASSIGN(port, hv::Privcmd::open());
    TRY_ASSIGN(log, debug::previous_log(*port));
    context.note(log.boots > 1 ? "from before the last " + std::to_string(log.boots) + " boots:\n" : "");
    return context.print({{"schema", "streak.log/1"}, {"text", log.text}, {"boots", log.boots}}, log.text);
}

Action declare_dump(Options& options) {
    const auto& domain = options.domain();
    const auto& file = options.argument("FILE", "the core file to write");
    const auto& format = options.value("--for", "gdb|crash", "who is to read it (gdb)");
    const auto& force = options.flag("--force", "replace a file that exists");
    return [&domain, &file, &format, &force](Context& context) { return dump(context, domain, file, format, force); };
}

} // namespace streak::cli
