// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"
#include "cli/views.hpp"

// Verbs that show and change nothing.

namespace streak::cli {
namespace {

struct ListValues {
    bool all = false, leftovers = false;
};

struct DomainValues {
    std::string domain;
};

struct LogValues {
    bool clear = false;
};

struct KeysValues {
    std::string keys;
};

Outcome<> list(Context& context, const ListValues& v) {
    context.step("listing");
    TRY_ASSIGN(answer, context.get(v.leftovers ? "/v1/leftovers" : "/v1/domains"));
    if (context.json()) return context.print(answer, {}), Outcome<>{};
    context.print_text(v.leftovers ? leftovers_text(answer) : domains_text(answer, v.all));
    if (!v.leftovers) context.note(domains_note(answer, v.all));
    return {};
}

Outcome<> dumpxml(Context& context, const DomainValues& v) {
    TRY_ASSIGN(path, domain_path(v.domain, "/xml"));
    TRY_ASSIGN(answer, context.ask_raw({.method = "GET", .path = path}, Context::usual_limit));
    context.print({{"schema", "streak.xml/1"}, {"xml", answer.body}}, answer.body);
    return {};
}

Outcome<> debug_keys(Context& context, const KeysValues& v) {
    if (v.keys.empty())
        return base::error(base::ErrorKind::usage, "there is no key to press", "one letter or more", {},
                           "`streak debug-keys h` lists the keys in `streak dmesg`");
    TRY_ASSIGN(answer, context.post("/v1/host/debug-keys", {{"keys", v.keys}}));
    context.print(answer, "pressed; `streak dmesg` shows what came of it\n");
    return {};
}

std::shared_ptr<DomainValues> domain_values(Options& options) {
    auto values = std::make_shared<DomainValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    return values;
}

} // namespace

Action declare_list(Options& options) {
    auto values = std::make_shared<ListValues>();
    options.flag("--all", values->all, "those that are shut off, too");
    options.flag("--leftovers", values->leftovers, "what no domain owns, and who holds it (schema streak.leftovers/1)");
    return with(values, +list);
}

Action declare_dominfo(Options& options) {
    return with(
        domain_values(options), +[](Context& context, const DomainValues& v) -> Outcome<> {
            TRY_ASSIGN(path, domain_path(v.domain));
            TRY_ASSIGN(answer, context.get(path));
            context.print(answer, domain_text(answer));
            return {};
        });
}

Action declare_dumpxml(Options& options) { return with(domain_values(options), +dumpxml); }

Action declare_info(Options&) {
    return [](Context& context) -> Outcome<> {
        TRY_ASSIGN(answer, context.get("/v1/host"));
        context.print(answer, host_text(answer));
        return {};
    };
}

Action declare_dmesg(Options& options) {
    auto values = std::make_shared<LogValues>();
    options.flag("--clear", values->clear, "forget what was printed");
    return with(
        values, +[](Context& context, const LogValues& v) -> Outcome<> {
            TRY_ASSIGN(answer, context.get(v.clear ? "/v1/host/log?clear=1" : "/v1/host/log"));
            context.print(answer, text_of(answer, "text"));
            return {};
        });
}

Action declare_debug_keys(Options& options) {
    auto values = std::make_shared<KeysValues>();
    options.argument("KEYS", values->keys, "one letter each");
    return with(values, +debug_keys);
}

} // namespace streak::cli
