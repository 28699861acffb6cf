// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/console.hpp"
#include "cli/text.hpp"
#include "cli/views.hpp"

// Verbs that bring domains about: from a file, or from a definition that streakd keeps.

namespace streak::cli {
namespace {

struct BirthValues {
    std::string file, domain;
    bool paused = false, console = false;
};

struct FileValues {
    std::string file;
    bool quiet = false;
};

constexpr std::string_view file_text = "libvirt's domain XML; - reads standard input";

Request definition_request(std::string method, std::string path, std::string xml) {
    return {.method = std::move(method),
            .path = std::move(path),
            .body = std::move(xml),
            .content_type = "application/xml"};
}

/// Connects to the console of a paused domain first, so that not a byte is missed.
Outcome<> go_on_with_console(Context& context, const Json& domain, bool paused) {
    const auto uuid = text_of(domain, "uuid");
    TRY_ASSIGN(console, Console::open(context, uuid));
    if (!paused) {
        TRY_ASSIGN(path, domain_path(uuid, "/unpause"));
        TRY(context.post(path, Json::object()));
    }
    return console.run(context);
}

Outcome<> after_birth(Context& context, const Json& domain, const BirthValues& v) {
    const auto id = std::to_string(number_of(domain, "id"));
    if (v.console) return go_on_with_console(context, domain, v.paused);
    context.print(domain,
                  printable(text_of(domain, "name")) + ": " + (v.paused ? "paused" : "started") + ", id " + id + '\n');
    return {};
}

Outcome<> check(Context& context, const BirthValues& v) {
    if (!v.console || !context.json()) return {};
    return base::error(base::ErrorKind::usage, "--console and --json don't go together");
}

Outcome<> create(Context& context, const BirthValues& v) {
    TRY(check(context, v));
    TRY_ASSIGN(xml, read_file(v.file));
    context.step("creating a domain from " + printable(v.file));
    const bool paused = v.paused || v.console;
    TRY_ASSIGN(domain, context.ask(definition_request("POST", paused ? "/v1/domains?paused=1" : "/v1/domains", xml),
                                   Context::long_limit));
    return after_birth(context, domain, v);
}

Outcome<> start(Context& context, const BirthValues& v) {
    TRY(check(context, v));
    TRY_ASSIGN(path, domain_path(v.domain, "/start"));
    context.step("starting " + printable(v.domain));
    TRY_ASSIGN(done, context.post(path, {{"paused", v.paused || v.console}}));
    if (text_of(done, "schema") == "streak.domain/1") return after_birth(context, done, v);
    TRY_ASSIGN(where, domain_path(v.domain));
    TRY_ASSIGN(domain, context.get(where));
    return after_birth(context, domain, v);
}

void birth_options(Options& options, BirthValues& values) {
    options.flag("--paused", values.paused, "leave it paused");
    options.flag("--console", values.console, "connect to its console, from the first byte on");
}

} // namespace

Action declare_create(Options& options) {
    auto values = std::make_shared<BirthValues>();
    options.argument("FILE", values->file, file_text);
    birth_options(options, *values);
    return with(values, +create);
}

Action declare_start(Options& options) {
    auto values = std::make_shared<BirthValues>();
    options.argument("DOMAIN", values->domain, "name or UUID");
    birth_options(options, *values);
    return with(values, +start);
}

Action declare_define(Options& options) {
    auto values = std::make_shared<FileValues>();
    options.argument("FILE", values->file, file_text);
    return with(
        values, +[](Context& context, const FileValues& v) -> Outcome<> {
            TRY_ASSIGN(xml, read_file(v.file));
            context.step("defining a domain from " + printable(v.file));
            TRY_ASSIGN(domain, context.ask(definition_request("PUT", "/v1/domains", xml), Context::long_limit));
            context.print(domain,
                          printable(text_of(domain, "name")) + ": defined, UUID " + text_of(domain, "uuid") + '\n');
            return {};
        });
}

Action declare_validate(Options& options) {
    auto values = std::make_shared<FileValues>();
    options.argument("FILE", values->file, file_text);
    options.flag("--quiet", values->quiet, "say nothing but errors");
    return with(
        values, +[](Context& context, const FileValues& v) -> Outcome<> {
            TRY_ASSIGN(xml, read_file(v.file));
            context.step("checking " + printable(v.file));
            TRY_ASSIGN(answer, context.ask(definition_request("POST", "/v1/validate", xml), Context::long_limit));
            if (!v.quiet) context.print(answer, validation_text(answer));
            if (!flag_of(answer, "accepted"))
                return base::error(base::ErrorKind::invalid, v.file + " would be refused", {}, {},
                                   v.quiet ? "`streak validate` without --quiet shows why"
                                           : "the lines `refused` above say why");
            if (!list_of(answer, "lacks").empty())
                return base::error(base::ErrorKind::unavailable,
                                   v.file + " is accepted, but the host lacks something for it");
            if (!v.quiet) context.note(printable(v.file) + " is accepted\n");
            return {};
        });
}

} // namespace streak::cli
