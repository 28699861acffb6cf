// SPDX-License-Identifier: GPL-2.0-only
// (First: it uses errno's macros, which lib/errno.hpp takes away.)
#include <nlohmann/json.hpp>

#include "manager/routes.hpp"

#include "manager/json.hpp"
#include "manager/reports.hpp"

#include <charconv>

#include <fmt/format.h>

namespace streak::manager {

namespace {

using base::ErrorKind;
using base::Outcome;
using Reply = Outcome<ApiAnswer>;
using nlohmann::json;

/// Longest wait that a request may ask for.
constexpr std::uint64_t most_wait_s = 3600;

std::unexpected<base::Error> usage(std::string what, std::string expected = {}, std::string found = {}) {
    return base::error(ErrorKind::usage, std::move(what), std::move(expected), std::move(found), "See docs/api.md");
}

/// A value as an error shows it; nested ones can be deeper than any stack.
std::string shown(const json& value) {
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// One request with what its path names.
struct Call {
    Manager& manager;
    const ApiRequest& request;
    std::vector<std::string> names; ///< what stands for the route's `*`

    const std::string& ref() const { return names[0]; }

    Outcome<std::uint64_t> number(const std::string& key, std::uint64_t otherwise, std::uint64_t most) const {
        const auto found = request.query.find(key);
        if (found == request.query.end()) return otherwise;
        const std::string& text = found->second;
        std::uint64_t value = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (code != std::errc{} || end != text.data() + text.size() || value > most)
            return usage("?" + key + "= can't be that", fmt::format("0 to {}", most), text);
        return value;
    }
    Outcome<bool> flag(const std::string& key) const {
        TRY_ASSIGN(value, number(key, 0, 1));
        return value == 1;
    }
};

/// The members of a body, which are all asked for before done() refuses the rest.
class Body {
public:
    static Outcome<Body> parse(const std::string& text) {
        json value = text.empty() ? json::object() : json::parse(text, nullptr, false);
        if (value.is_discarded() || !value.is_object()) return usage("the body can't be used", "a JSON object");
        return Body(std::move(value));
    }
    Outcome<std::optional<std::uint64_t>> number(const char* key, std::uint64_t most) {
        const json* value = take(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_number_unsigned() && value->get<std::uint64_t>() <= most) return value->get<std::uint64_t>();
        return usage(fmt::format("\"{}\" can't be that", key), fmt::format("a whole number, 0 to {}", most),
                     shown(*value));
    }
    Outcome<std::uint64_t> needed_number(const char* key, std::uint64_t most) {
        TRY_ASSIGN(value, number(key, most));
        if (!value) return missing(key);
        return *value;
    }
    Outcome<std::string> needed_text(const char* key) {
        const json* value = take(key);
        if (value == nullptr) return missing(key);
        if (!value->is_string()) return usage(fmt::format("\"{}\" can't be that", key), "a string", shown(*value));
        return value->get<std::string>();
    }
    Outcome<bool> flag(const char* key, std::optional<bool> otherwise) {
        const json* value = take(key);
        if (value == nullptr && otherwise) return *otherwise;
        if (value == nullptr) return missing(key);
        if (!value->is_boolean())
            return usage(fmt::format("\"{}\" can't be that", key), "true or false", shown(*value));
        return value->get<bool>();
    }
    Outcome<config::CpuList> needed_cpus(const char* key) {
        const json* value = take(key);
        if (value == nullptr) return missing(key);
        config::CpuList cpus;
        if (value->is_array())
            for (const json& item : *value)
                if (item.is_number_unsigned() && item.get<std::uint64_t>() < 65536) cpus.push_back(item);
        if (!value->is_array() || cpus.size() != value->size())
            return usage(fmt::format("\"{}\" can't be that", key), "a list of CPU numbers", shown(*value));
        return cpus;
    }
    /// A misspelt member is no wish that may be forgotten.
    Outcome<> done() const {
        for (const auto& [key, value] : value_.items())
            if (!taken_.contains(key)) return usage("there is no member \"" + key + "\" in this request");
        return {};
    }

private:
    explicit Body(json value) : value_(std::move(value)) {}
    const json* take(const char* key) {
        taken_.emplace(key, true);
        const auto found = value_.find(key);
        return found == value_.end() ? nullptr : &*found;
    }
    static std::unexpected<base::Error> missing(const char* key) {
        return usage(fmt::format("the body has no member \"{}\"", key));
    }
    json value_;
    std::map<std::string, bool, std::less<>> taken_;
};

Reply done(const Outcome<>& outcome) {
    if (!outcome) return std::unexpected(outcome.error());
    return ApiAnswer{200, std::move(answer("streak.done/1")).text()};
}

Reply report(const Outcome<std::string>& text, unsigned status = 200) {
    if (!text) return std::unexpected(text.error());
    return ApiAnswer{status, *text};
}

Reply report(Call& call, const Outcome<DomainPointer>& domain, unsigned status = 200) {
    if (!domain) return std::unexpected(domain.error());
    return report(domain_report(call.manager, *domain), status);
}

/// The definition or device in the body; refused ones are answered with all findings.
struct Given {
    config::Definition definition;
    std::optional<ApiAnswer> refusal;
};
Outcome<Given> given(Call& call, bool device) {
    TRY_ASSIGN(parsed, call.manager.environment().parse(call.request.body, device));
    if (!parsed.accepted()) return Given{{}, error_answer(parsed.as_error(), findings_json(parsed.findings))};
    return Given{std::move(parsed.definition), {}};
}

// ---- The host

Reply get_host(Call& call) { return report(host_report(call.manager)); }

Reply get_log(Call& call) {
    TRY_ASSIGN(clear, call.flag("clear"));
    TRY_ASSIGN(text,
               checked(call.manager.environment().hypervisor.console_log(clear), "can't read the hypervisor's log"));
    return ApiAnswer{200, std::move(answer("streak.log/1").add("text", text)).text()};
}

Reply press_keys(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(keys, body.needed_text("keys"));
    TRY(body.done());
    if (keys.empty() ||
        keys.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*+-?") != keys.npos)
        return usage("these are no debug keys", "letters and digits; `h` lists them", keys);
    return done(checked(call.manager.environment().hypervisor.press_debug_keys(keys), "can't press debug keys"));
}

Reply get_events(Call& call) {
    TRY_ASSIGN(since, call.number("since", 0, UINT64_MAX));
    TRY_ASSIGN(wait, call.number("wait", 0, most_wait_s));
    const auto events = call.manager.events().after(since, std::chrono::seconds(wait));
    return ApiAnswer{
        200,
        std::move(answer("streak.events/1").raw("events", array_of(events.events)).add("last", events.last)).text()};
}

Reply get_leftovers(Call& call) { return report(leftovers_report(call.manager)); }
Reply get_stats(Call& call) { return report(stats_report(call.manager)); }
Reply validate(Call& call) { return report(validation_report(call.manager, call.request.body)); }

// ---- Domains

Reply get_domains(Call& call) { return report(domains_report(call.manager)); }
Reply get_domain(Call& call) { return report(call, call.manager.registry().find(call.ref())); }

Reply get_xml(Call& call) {
    TRY_ASSIGN(domain, call.manager.registry().find(call.ref()));
    const std::lock_guard lock(call.manager.registry().mutex);
    return ApiAnswer{200, domain->xml, "application/xml"};
}

Reply create(Call& call) {
    TRY_ASSIGN(paused, call.flag("paused"));
    TRY_ASSIGN(input, given(call, false));
    if (input.refusal) return *input.refusal;
    return report(call, call.manager.create(call.request.body, std::move(input.definition), paused), 201);
}

Reply define(Call& call) {
    TRY_ASSIGN(input, given(call, false));
    if (input.refusal) return *input.refusal;
    return report(call, call.manager.define(call.request.body, std::move(input.definition)));
}

Reply undefine(Call& call) { return done(call.manager.undefine(call.ref())); }

Reply start(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(paused, body.flag("paused", false));
    TRY(body.done());
    return done(call.manager.start(call.ref(), paused));
}

Reply pause(Call& call) { return done(call.manager.pause(call.ref())); }
Reply unpause(Call& call) { return done(call.manager.unpause(call.ref())); }
Reply destroy(Call& call) { return done(call.manager.destroy(call.ref())); }

Reply ask(Call& call, Ask what) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(wait, body.number("wait", most_wait_s));
    TRY(body.done());
    return done(call.manager.ask(call.ref(), what, wait ? std::optional(std::chrono::seconds(*wait)) : std::nullopt));
}
Reply shutdown(Call& call) { return ask(call, Ask::poweroff); }
Reply reboot(Call& call) { return ask(call, Ask::reboot); }

Reply rename(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(name, body.needed_text("name"));
    TRY(body.done());
    return done(call.manager.rename(call.ref(), name));
}

Reply set_memory(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(kib, body.needed_number("kib", UINT64_MAX));
    TRY(body.done());
    return done(call.manager.set_memory(call.ref(), kib));
}

Reply set_vcpus(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(count, body.needed_number("count", UINT32_MAX));
    TRY(body.done());
    return done(call.manager.set_vcpus(call.ref(), static_cast<std::uint32_t>(count)));
}

Reply pin(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(vcpu, body.number("vcpu", UINT32_MAX));
    TRY_ASSIGN(cpus, body.needed_cpus("cpus"));
    TRY(body.done());
    return done(call.manager.pin(call.ref(), vcpu, cpus));
}

Reply set_share(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(weight, body.number("weight", UINT16_MAX));
    TRY_ASSIGN(cap, body.number("cap", UINT16_MAX));
    TRY(body.done());
    return done(call.manager.set_share(call.ref(), weight, cap));
}

Reply set_autostart(Call& call) {
    TRY_ASSIGN(body, Body::parse(call.request.body));
    TRY_ASSIGN(on, body.flag("on", {}));
    TRY(body.done());
    return done(call.manager.set_autostart(call.ref(), on));
}

/// `disk`: a disk is expected, otherwise an interface.
Reply attach(Call& call, bool disk) {
    TRY_ASSIGN(input, given(call, true));
    if (input.refusal) return *input.refusal;
    if (disk ? !input.definition.interfaces.empty() : !input.definition.disks.empty())
        return usage("this is another kind of device", disk ? "<disk>" : "<interface>");
    return done(call.manager.attach(call.ref(), input.definition));
}
Reply attach_disk(Call& call) { return attach(call, true); }
Reply attach_interface(Call& call) { return attach(call, false); }

Reply detach_disk(Call& call) {
    TRY_ASSIGN(force, call.flag("force"));
    return done(call.manager.detach_disk(call.ref(), call.names[1], force));
}
Reply detach_interface(Call& call) {
    TRY_ASSIGN(force, call.flag("force"));
    return done(call.manager.detach_interface(call.ref(), call.names[1], force));
}

// ---- The table

struct Route {
    std::string_view method, path; ///< `*`: a name
    Reply (*handler)(Call&);
};

constexpr Route routes[] = {
    {"GET", "/v1/host", get_host},
    {"GET", "/v1/host/log", get_log},
    {"POST", "/v1/host/debug-keys", press_keys},
    {"GET", "/v1/domains", get_domains},
    {"POST", "/v1/domains", create},
    {"PUT", "/v1/domains", define},
    {"GET", "/v1/domains/*", get_domain},
    {"DELETE", "/v1/domains/*", undefine},
    {"GET", "/v1/domains/*/xml", get_xml},
    {"POST", "/v1/domains/*/start", start},
    {"POST", "/v1/domains/*/pause", pause},
    {"POST", "/v1/domains/*/unpause", unpause},
    {"POST", "/v1/domains/*/shutdown", shutdown},
    {"POST", "/v1/domains/*/reboot", reboot},
    {"POST", "/v1/domains/*/destroy", destroy},
    {"POST", "/v1/domains/*/rename", rename},
    {"POST", "/v1/domains/*/memory", set_memory},
    {"POST", "/v1/domains/*/vcpus", set_vcpus},
    {"POST", "/v1/domains/*/pin", pin},
    {"POST", "/v1/domains/*/scheduler", set_share},
    {"POST", "/v1/domains/*/autostart", set_autostart},
    {"POST", "/v1/domains/*/disks", attach_disk},
    {"POST", "/v1/domains/*/interfaces", attach_interface},
    {"DELETE", "/v1/domains/*/disks/*", detach_disk},
    {"DELETE", "/v1/domains/*/interfaces/*", detach_interface},
    {"POST", "/v1/validate", validate},
    {"GET", "/v1/events", get_events},
    {"GET", "/v1/leftovers", get_leftovers},
    {"GET", "/v1/stats", get_stats},
};

/// Takes the part up to the next slash off.
std::string_view next_part(std::string_view& path) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

/// What stands where the route has `*`; nothing: another path.
std::optional<std::vector<std::string>> match(std::string_view route, std::string_view path) {
    std::vector<std::string> names;
    while (!route.empty() && !path.empty() && path.front() == '/') {
        const std::string_view wanted = next_part(route), part = next_part(path);
        if (wanted == "*" && !part.empty()) names.emplace_back(part);
        else if (wanted != part) return {};
    }
    if (!route.empty() || !path.empty()) return {};
    return names;
}

Reply dispatch(Manager& manager, const ApiRequest& request) {
    std::string methods;
    for (const Route& route : routes) {
        auto names = match(route.path, request.path);
        if (!names) continue;
        if (route.method == request.method) {
            Call call{manager, request, std::move(*names)};
            return route.handler(call);
        }
        methods.append(methods.empty() ? "" : ", ").append(route.method);
    }
    if (!methods.empty()) return usage(request.path + " knows no such method", methods, request.method);
    return base::error(ErrorKind::not_found, "there is no " + request.path, {}, {}, "See docs/api.md");
}

struct KindText {
    std::string_view name;
    unsigned status;
};
constexpr KindText kinds[] = {{"usage", 400},       {"invalid", 422}, {"not_found", 404},
                              {"conflict", 409},    {"refused", 403}, {"resources", 507},
                              {"unavailable", 503}, {"timeout", 504}, {"internal", 500}};

} // namespace

ApiAnswer error_answer(const base::Error& error, const std::string& findings) {
    const KindText& kind = kinds[static_cast<std::size_t>(error.kind)];
    Object object = answer("streak.error/1");
    object.add("kind", kind.name).add("what", error.what).add("expected", error.expected);
    object.add("found", error.found).add("remedy", error.remedy);
    if (!findings.empty()) object.raw("findings", findings);
    return {kind.status, std::move(object).text()};
}

ApiAnswer answer_request(Manager& manager, const ApiRequest& request) {
    const Reply reply = dispatch(manager, request);
    return reply ? *reply : error_answer(reply.error());
}

} // namespace streak::manager
