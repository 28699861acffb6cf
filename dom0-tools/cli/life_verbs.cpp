// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"

// Verbs that change the life of one domain, and have little to say about it.

namespace streak::cli {
namespace {

struct DomainValues {
    std::string domain;
};

struct WaitValues : DomainValues {
    std::optional<std::string> wait;
};

struct RenameValues : DomainValues {
    std::string name;
};

struct AutostartValues : DomainValues {
    bool off = false;
};

template <class Values> std::shared_ptr<Values> domain_values(Options& options) {
    auto values = std::make_shared<Values>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    return values;
}

/// Posts to a domain; prints what was done.
Outcome<> post(Context& context, const std::string& domain, std::string_view verb, const Json& body,
               const std::string& doing, const std::string& done) {
    TRY_ASSIGN(path, domain_path(domain, "/" + std::string(verb)));
    context.step(doing + ' ' + printable(domain));
    TRY_ASSIGN(answer, context.post(path, body));
    context.print(answer, printable(domain) + ": " + done + '\n');
    return {};
}

/// Asks the guest to end; with `wait`, until it has.
Outcome<> ask_guest(Context& context, const WaitValues& v, std::string_view verb, const std::string& done) {
    Json body = Json::object();
    std::chrono::seconds limit = Context::usual_limit;
    if (v.wait) {
        TRY_ASSIGN(seconds, parse_number("time to wait", *v.wait, 1, 3600));
        body["wait"] = seconds;
        limit += std::chrono::seconds(seconds);
    }
    TRY_ASSIGN(path, domain_path(v.domain, "/" + std::string(verb)));
    context.step("waiting for " + printable(v.domain));
    TRY_ASSIGN(answer, context.post(path, body, limit));
    context.print(answer, printable(v.domain) + ": " + (v.wait ? done : "asked to " + std::string(verb)) + '\n');
    return {};
}

Action declare_ask(Options& options, Outcome<> (*run)(Context&, const WaitValues&)) {
    auto values = domain_values<WaitValues>(options);
    options.flag_or_value("--wait", "S", values->wait, "60", "wait until it is done, at most S seconds (60)");
    return with(values, run);
}

} // namespace

Action declare_pause(Options& options) {
    return with(
        domain_values<DomainValues>(options), +[](Context& context, const DomainValues& v) {
            return post(context, v.domain, "pause", Json::object(), "pausing", "paused");
        });
}

Action declare_unpause(Options& options) {
    return with(
        domain_values<DomainValues>(options), +[](Context& context, const DomainValues& v) {
            return post(context, v.domain, "unpause", Json::object(), "unpausing", "unpaused");
        });
}

Action declare_destroy(Options& options) {
    return with(
        domain_values<DomainValues>(options), +[](Context& context, const DomainValues& v) {
            return post(context, v.domain, "destroy", Json::object(), "destroying", "destroyed");
        });
}

Action declare_shutdown(Options& options) {
    return declare_ask(
        options, +[](Context& context, const WaitValues& v) { return ask_guest(context, v, "shutdown", "shut down"); });
}

Action declare_reboot(Options& options) {
    return declare_ask(
        options, +[](Context& context, const WaitValues& v) { return ask_guest(context, v, "reboot", "rebooted"); });
}

Action declare_rename(Options& options) {
    auto values = domain_values<RenameValues>(options);
    options.argument("NAME", values->name, "the new name");
    return with(
        values, +[](Context& context, const RenameValues& v) -> Outcome<> {
            if (v.name.empty()) return base::error(base::ErrorKind::usage, "the new name is empty", "a name");
            return post(context, v.domain, "rename", {{"name", v.name}}, "renaming", "now called " + printable(v.name));
        });
}

Action declare_autostart(Options& options) {
    auto values = domain_values<AutostartValues>(options);
    options.flag("--off", values->off, "no longer");
    return with(
        values, +[](Context& context, const AutostartValues& v) {
            return post(context, v.domain, "autostart", {{"on", !v.off}}, "changing",
                        v.off ? "starts only when told" : "starts with the host");
        });
}

Action declare_undefine(Options& options) {
    return with(
        domain_values<DomainValues>(options), +[](Context& context, const DomainValues& v) -> Outcome<> {
            TRY_ASSIGN(path, domain_path(v.domain));
            context.step("forgetting " + printable(v.domain));
            TRY_ASSIGN(answer, context.ask({.method = "DELETE", .path = path}));
            context.print(answer, printable(v.domain) + ": its definition is forgotten\n");
            return {};
        });
}

} // namespace streak::cli
