// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"
#include "cli/views.hpp"
#include "lib/build_info.hpp"

// Verbs that show and change nothing, and what the hypervisor says itself.

namespace streak::cli {
namespace {

Outcome<> list(Context& context, bool all, bool leftovers) {
    TRY_ASSIGN(answer, context.get(leftovers ? "/v1/leftovers" : "/v1/domains"));
    if (leftovers || context.json()) return context.print(answer, leftovers_text(answer));
    context.print_text(domains_text(answer, all));
    context.note(domains_note(answer, all));
    return {};
}

/// A verb that shows one answer.
Action show(std::string path, std::string (*text)(const Json&)) {
    return [=](Context& context) -> Outcome<> {
        TRY_ASSIGN(answer, context.get(path));
        return context.print(answer, text(answer));
    };
}

Outcome<> show_domain(Context& context, const std::string& domain) {
    TRY_ASSIGN(path, domain_path(domain));
    return show(path, domain_text)(context);
}

} // namespace

Action declare_list(Options& options) {
    const auto& all = options.flag("--all", "those that are shut off, too");
    const auto& leftovers =
        options.flag("--leftovers", "what no domain owns, and who holds it (schema streak.leftovers/1)");
    return [&all, &leftovers](Context& context) { return list(context, all, leftovers); };
}

Action declare_info(Options& options) {
    const auto& domain = options.argument("DOMAIN", "a domain instead, as dominfo shows it", false);
    return [&domain](Context& context) {
        return domain.empty() ? show("/v1/host", host_text)(context) : show_domain(context, domain);
    };
}

Action declare_dominfo(Options& options) {
    const auto& domain = options.domain();
    return [&domain](Context& context) { return show_domain(context, domain); };
}

Action declare_dumpxml(Options& options) {
    const auto& domain = options.domain();
    return [&domain](Context& context) -> Outcome<> {
        TRY_ASSIGN(path, domain_path(domain, "/xml"));
        TRY_ASSIGN(answer, context.ask_raw({.method = "GET", .path = path}, Context::usual_limit));
        return context.print({{"schema", "streak.xml/1"}, {"xml", answer.body}}, answer.body);
    };
}

Action declare_dmesg(Options& options) {
    const auto& clear = options.flag("--clear", "forget what was printed");
    const auto& previous = options.flag("--previous", "of the boot that ended in a panic, before a warm start");
    return [&clear, &previous](Context& context) {
        if (previous) return show_previous_log(context);
        return show(clear ? "/v1/host/log?clear=1" : "/v1/host/log",
                    [](const Json& log) { return text_of(log, "text"); })(context);
    };
}

Action declare_debug_keys(Options& options) {
    const auto& keys = options.argument("KEYS", "one letter each");
    return [&keys](Context& context) -> Outcome<> {
        if (keys.empty())
            return base::error(base::ErrorKind::usage, "there is no key to press", "one letter or more", {},
                               "`streak debug-keys h` lists the keys in `streak dmesg`");
        TRY_ASSIGN(answer, context.post("/v1/host/debug-keys", {{"keys", keys}}));
        return context.print(answer, "pressed; `streak dmesg` shows what came of it\n");
    };
}

/// The version of this program; that of the running hypervisor is `info`'s to tell.
Action declare_version(Options&) {
    return [](Context& context) -> Outcome<> {
        const std::string text = std::to_string(build_info::major) + '.' + std::to_string(build_info::minor) +
                                 std::string(build_info::extra);
        return context.print({{"schema", "streak.version/1"}, {"version", text}}, "streak " + text + '\n');
    };
}

} // namespace streak::cli
