// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"

// Verbs that change the life of one domain, and have little to say about it.

namespace streak::cli {
namespace {

/// A verb that takes nothing but a domain.
Action simple(Options& options, std::string verb, std::string doing, std::string done) {
    const auto& domain = options.domain();
    return [=, &domain](Context& context) { return change(context, domain, verb, Json::object(), doing, done); };
}

/// A verb that asks the guest for something; with --wait, until it has done it.
Action request(Options& options, std::string verb, std::string done) {
    const auto& domain = options.domain();
    const auto& wait = options.flag_or_value("--wait", "S", "60", "wait until it is done, at most S seconds (60)");
    return [=, &domain, &wait](Context& context) -> Outcome<> {
        if (!wait)
            return change(context, domain, verb, Json::object(), "asking", "asked to " + verb, Context::usual_limit);
        TRY_ASSIGN(seconds, parse_number("time to wait", *wait, 1, 3600));
        return change(context, domain, verb, {{"wait", seconds}}, "waiting for", done,
                      Context::usual_limit + std::chrono::seconds(seconds));
    };
}

} // namespace

Outcome<> change(Context& context, const std::string& domain, std::string_view verb, const Json& body,
                 const std::string& doing, const std::string& done, std::chrono::seconds limit) {
    TRY_ASSIGN(path, domain_path(domain, "/" + std::string(verb)));
    context.step(doing + ' ' + printable(domain));
    TRY_ASSIGN(answer, context.post(path, body, limit));
    return context.print(answer, printable(domain) + ": " + done + '\n');
}

Action declare_pause(Options& options) { return simple(options, "pause", "pausing", "paused"); }
Action declare_unpause(Options& options) { return simple(options, "unpause", "unpausing", "unpaused"); }
Action declare_destroy(Options& options) { return simple(options, "destroy", "destroying", "destroyed"); }
Action declare_shutdown(Options& options) { return request(options, "shutdown", "shut down"); }
Action declare_reboot(Options& options) { return request(options, "reboot", "rebooted"); }

Action declare_rename(Options& options) {
    const auto& domain = options.domain();
    const auto& name = options.argument("NAME", "the new name");
    return [&domain, &name](Context& context) -> Outcome<> {
        if (name.empty()) return base::error(base::ErrorKind::usage, "the new name is empty", "a name");
        return change(context, domain, "rename", {{"name", name}}, "renaming", "now called " + printable(name));
    };
}

Action declare_autostart(Options& options) {
    const auto& domain = options.domain();
    const auto& off = options.flag("--off", "no longer");
    return [&domain, &off](Context& context) {
        return change(context, domain, "autostart", {{"on", !off}}, "changing",
                      off ? "starts only when told" : "starts with the host");
    };
}

Action declare_undefine(Options& options) {
    const auto& domain = options.domain();
    return [&domain](Context& context) -> Outcome<> {
        TRY_ASSIGN(path, domain_path(domain));
        TRY_ASSIGN(answer, context.ask({.method = "DELETE", .path = path}));
        return context.print(answer, printable(domain) + ": its definition is forgotten\n");
    };
}

} // namespace streak::cli
