// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/console.hpp"
#include "cli/text.hpp"
#include "cli/views.hpp"

// Verbs that bring domains about: from a file, or from a definition that streakd keeps.

namespace streak::cli {
namespace {

/// A definition in a file, sent to streakd.
Outcome<Json> send_definition(Context& context, std::string method, std::string path, const std::string& file,
                              const std::string& doing) {
    TRY_ASSIGN(xml, read_file(file));
    context.step(doing + ' ' + printable(file));
    return context.ask({std::move(method), std::move(path), std::move(xml), "application/xml"}, Context::long_limit);
}

const std::string& file_argument(Options& options) {
    return options.argument("FILE", "libvirt's domain XML; - reads standard input");
}

struct Birth {
    const bool& paused;
    const bool& console;
    /// The console is connected to a domain that does not run yet, so that not a byte is missed.
    [[nodiscard]] bool paused_at_first() const { return paused || console; }
};

Birth birth_options(Options& options) {
    return {options.flag("--paused", "leave it paused"),
            options.flag("--console", "connect to its console, from the first byte on")};
}

Outcome<> check(const Context& context, const Birth& birth) {
    if (!birth.console || !context.json()) return {};
    return base::error(base::ErrorKind::usage, "--console and --json don't go together");
}

Outcome<> after_birth(Context& context, const Json& domain, const Birth& birth) {
    if (!birth.console) {
        const auto id = number_of(domain, "id"); // 0: it has none any more, or none yet as it is started again
        return context.print(domain, printable(text_of(domain, "name")) + (birth.paused ? ": paused" : ": started") +
                                         (id != 0 ? ", id " + std::to_string(id) : "") + '\n');
    }
    const auto uuid = text_of(domain, "uuid");
    TRY_ASSIGN(console, Console::open(context, uuid));
    if (!birth.paused) TRY(context.post("/v1/domains/" + uuid + "/unpause", Json::object()));
    return console.run(context);
}

Outcome<> start(Context& context, const std::string& name, const Birth& birth) {
    TRY(check(context, birth));
    TRY_ASSIGN(path, domain_path(name));
    context.step("starting " + printable(name));
    TRY(context.post(path + "/start", {{"paused", birth.paused_at_first()}}));
    TRY_ASSIGN(domain, context.get(path));
    return after_birth(context, domain, birth);
}

Outcome<> validate(Context& context, const std::string& file, bool quiet) {
    TRY_ASSIGN(answer, send_definition(context, "POST", "/v1/validate", file, "checking"));
    if (!quiet) context.print(answer, validation_text(answer));
    if (!flag_of(answer, "accepted"))
        return base::error(base::ErrorKind::invalid, file + " would be refused", {}, {},
                           quiet ? "`streak validate` without --quiet shows why" : "the lines `refused` say why");
    if (!list_of(answer, "lacks").empty())
        return base::error(base::ErrorKind::unavailable, file + " is accepted, but the host lacks something for it");
    if (!quiet) context.note(printable(file) + " is accepted\n");
    return {};
}

} // namespace

Action declare_create(Options& options) {
    const auto& file = file_argument(options);
    const auto birth = birth_options(options);
    return [&file, birth](Context& context) -> Outcome<> {
        TRY(check(context, birth));
        TRY_ASSIGN(domain,
                   send_definition(context, "POST", birth.paused_at_first() ? "/v1/domains?paused=1" : "/v1/domains",
                                   file, "creating a domain from"));
        return after_birth(context, domain, birth);
    };
}

Action declare_start(Options& options) {
    const auto& domain = options.domain();
    const auto birth = birth_options(options);
    return [&domain, birth](Context& context) { return start(context, domain, birth); };
}

Action declare_define(Options& options) {
    const auto& file = file_argument(options);
    return [&file](Context& context) -> Outcome<> {
        TRY_ASSIGN(domain, send_definition(context, "PUT", "/v1/domains", file, "defining a domain from"));
        return context.print(domain,
                             printable(text_of(domain, "name")) + ": defined, UUID " + text_of(domain, "uuid") + '\n');
    };
}

Action declare_validate(Options& options) {
    const auto& file = file_argument(options);
    const auto& quiet = options.flag("--quiet", "say nothing but errors");
    return [&file, &quiet](Context& context) { return validate(context, file, quiet); };
}

} // namespace streak::cli
