// SPDX-License-Identifier: GPL-2.0-only
// (First: it uses errno's macros, which lib/errno.hpp takes away.)
#include <nlohmann/json.hpp>

#include "manager/routes.hpp"

#include "manager/json.hpp"
#include "manager/reports.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.hpp"

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
        const auto value = base::parse_number(text);
        if (!value || *value > most) return usage("?" + key + "= can't be that", fmt::format("0 to {}", most), text);
        return *value;
    }
    Outcome<bool> flag(const std::string& key) const {
        TRY_ASSIGN(value, number(key, 0, 1));
        return value == 1;
    }
};

Reply done(const Outcome<>& outcome) {
    if (!outcome) return std::unexpected(outcome.error());
    return ApiAnswer{200, std::move(answer("streak.done/1")).text()};
}

/// The members of a body. What can't be used is told in the end, when all that are known have been asked for.
class Body {
public:
    explicit Body(const Call& call)
        : call_(call),
          value_(call.request.body.empty() ? json::object() : json::parse(call.request.body, nullptr, false)) {
        if (!value_.is_object()) complain("the body can't be used", "a JSON object");
    }
    std::optional<std::uint64_t> number(const char* key, std::uint64_t most, bool needed = false) {
        const auto good = [&](const json& v) { return v.is_number_unsigned() && v.get<std::uint64_t>() <= most; };
        const json* value = take(key, needed, fmt::format("a whole number, 0 to {}", most), good);
        return value ? std::optional(value->get<std::uint64_t>()) : std::nullopt;
    }
    std::uint64_t needed_number(const char* key, std::uint64_t most) { return number(key, most, true).value_or(0); }
    std::string text(const char* key) {
        const json* value = take(key, true, "a string", [](const json& v) { return v.is_string(); });
        return value ? value->get<std::string>() : "";
    }
    bool flag(const char* key, bool needed) {
        const json* value = take(key, needed, "true or false", [](const json& v) { return v.is_boolean(); });
        return value && value->get<bool>();
    }
    config::CpuList cpus(const char* key) {
        const auto is_cpu = [](const json& v) { return v.is_number_unsigned() && v.get<std::uint64_t>() < 65536; };
        const json* value = take(key, true, "a list of CPU numbers", [&](const json& list) {
            return list.is_array() && std::ranges::all_of(list, is_cpu);
        });
        return value ? value->get<config::CpuList>() : config::CpuList{};
    }
    /// Does what was asked for, if all of the body can be used. A misspelt member is no wish that may be forgotten.
    template <class F> Reply then(F&& act) {
        if (value_.is_object())
            for (const auto& [key, value] : value_.items())
                if (!taken_.contains(key)) complain("there is no member \"" + key + "\" in this request");
        if (error_) return std::unexpected(*error_);
        return done(act());
    }
    /// A change of the domain that the path names.
    template <class T> Reply then(Outcome<> (Manager::*change)(const std::string&, T), std::type_identity_t<T> value) {
        return then([&] { return (call_.manager.*change)(call_.ref(), value); });
    }

private:
    template <class F> const json* take(const char* key, bool needed, const std::string& expected, F&& good) {
        taken_.emplace(key);
        const auto found = value_.find(key);
        if (found != value_.end() && good(*found)) return &*found;
        if (found != value_.end()) complain(fmt::format("\"{}\" can't be that", key), expected, shown(*found));
        else if (needed) complain(fmt::format("the body has no member \"{}\"", key));
        return nullptr;
    }
    void complain(std::string what, std::string expected = {}, std::string found = {}) {
        if (!error_) error_ = usage(std::move(what), std::move(expected), std::move(found)).error();
    }

    const Call& call_;
    json value_;
    std::set<std::string> taken_;
    std::optional<base::Error> error_; ///< the first one
};

Reply report(const Outcome<std::string>& text, unsigned status = 200) {
    if (!text) return std::unexpected(text.error());
    return ApiAnswer{status, *text};
}

Reply report(Call& call, const Outcome<DomainPointer>& domain, unsigned status = 200) {
    if (!domain) return std::unexpected(domain.error());
    return report(domain_report(call.manager, *domain), status);
}

/// Calls `act` with the definition or device in the body; refused ones are answered with all findings.
template <class F> Reply with_definition(Call& call, bool device, F&& act) {
    TRY_ASSIGN(parsed, call.manager.environment().parse(call.request.body, device));
    if (!parsed.accepted()) return error_answer(parsed.as_error(), findings_json(parsed.findings));
    return act(std::move(parsed.definition));
}

Reply get_log(Call& call) {
    TRY_ASSIGN(clear, call.flag("clear"));
    TRY_ASSIGN(text,
               checked(call.manager.environment().hypervisor.console_log(clear), "can't read the hypervisor's log"));
    return ApiAnswer{200, std::move(answer("streak.log/1").add("text", text)).text()};
}

Reply press_keys(Call& call) {
    Body body(call);
    const std::string keys = body.text("keys");
    return body.then([&]() -> Outcome<> {
        if (keys.empty() ||
            std::ranges::any_of(keys, [](char c) { return !std::isalnum(c) && !std::string_view("*+-?").contains(c); }))
            return usage("these are no debug keys", "letters and digits; `h` lists them", keys);
        return checked(call.manager.environment().hypervisor.press_debug_keys(keys), "can't press debug keys");
    });
}

Reply get_events(Call& call) {
    TRY_ASSIGN(since, call.number("since", 0, UINT64_MAX));
    TRY_ASSIGN(wait, call.number("wait", 0, most_wait_s));
    const auto events = call.manager.events().after(since, std::chrono::seconds(wait));
    Object object = answer("streak.events/1");
    object.raw("events", array_of(events.events)).add("last", events.last);
    return ApiAnswer{200, std::move(object).text()};
}

Reply get_xml(Call& call) {
    TRY_ASSIGN(domain, call.manager.registry().find(call.ref()));
    const std::lock_guard lock(call.manager.registry().mutex);
    return ApiAnswer{200, domain->xml, "application/xml"};
}

Reply create(Call& call) {
    TRY_ASSIGN(paused, call.flag("paused"));
    return with_definition(call, false, [&](config::Definition definition) {
        return report(call, call.manager.create(call.request.body, std::move(definition), paused), 201);
    });
}

Reply define(Call& call) {
    return with_definition(call, false, [&](config::Definition definition) {
        return report(call, call.manager.define(call.request.body, std::move(definition)));
    });
}

Reply ask(Call& call, Ask what) {
    Body body(call);
    const auto seconds = body.number("wait", most_wait_s);
    const auto wait = seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
    return body.then([&] { return call.manager.ask(call.ref(), what, wait); });
}

Reply pin(Call& call) {
    Body body(call);
    const auto vcpu = body.number("vcpu", UINT32_MAX);
    const config::CpuList cpus = body.cpus("cpus");
    return body.then([&] { return call.manager.pin(call.ref(), vcpu, cpus); });
}

Reply set_share(Call& call) {
    Body body(call);
    const auto weight = body.number("weight", UINT16_MAX), cap = body.number("cap", UINT16_MAX);
    return body.then([&] { return call.manager.set_share(call.ref(), weight, cap); });
}

/// `disk`: a disk is expected, otherwise an interface.
Reply attach(Call& call, bool disk) {
    return with_definition(call, true, [&](const config::Definition& device) -> Reply {
        if (disk ? !device.interfaces.empty() : !device.disks.empty())
            return usage("this is another kind of device", disk ? "<disk>" : "<interface>");
        return done(call.manager.attach(call.ref(), device));
    });
}

Reply detach(Call& call, bool disk) {
    TRY_ASSIGN(force, call.flag("force"));
    return done(disk ? call.manager.detach_disk(call.ref(), call.names[1], force)
                     : call.manager.detach_interface(call.ref(), call.names[1], force));
}

/// A handler of a request that has a body.
template <auto handle> Reply by_body(Call& call) {
    Body body(call);
    return handle(body);
}

struct Route {
    std::string_view method, path; ///< `*`: a name
    Reply (*handler)(Call&);
};

constexpr Route routes[] = {
    {"GET", "/v1/host", [](Call& call) { return report(host_report(call.manager)); }},
    {"GET", "/v1/host/log", get_log},
    {"POST", "/v1/host/debug-keys", press_keys},
    {"GET", "/v1/domains", [](Call& call) { return report(domains_report(call.manager)); }},
    {"POST", "/v1/domains", create},
    {"PUT", "/v1/domains", define},
    {"GET", "/v1/domains/*", [](Call& call) { return report(call, call.manager.registry().find(call.ref())); }},
    {"DELETE", "/v1/domains/*", [](Call& call) { return done(call.manager.undefine(call.ref())); }},
    {"GET", "/v1/domains/*/xml", get_xml},
    {"POST", "/v1/domains/*/start",
     by_body<[](Body& body) { return body.then(&Manager::start, body.flag("paused", false)); }>},
    {"POST", "/v1/domains/*/pause", [](Call& call) { return done(call.manager.pause(call.ref())); }},
    {"POST", "/v1/domains/*/unpause", [](Call& call) { return done(call.manager.unpause(call.ref())); }},
    {"POST", "/v1/domains/*/shutdown", [](Call& call) { return ask(call, Ask::poweroff); }},
    {"POST", "/v1/domains/*/reboot", [](Call& call) { return ask(call, Ask::reboot); }},
    {"POST", "/v1/domains/*/destroy", [](Call& call) { return done(call.manager.destroy(call.ref())); }},
    {"POST", "/v1/domains/*/rename",
     by_body<[](Body& body) { return body.then(&Manager::rename, body.text("name")); }>},
    {"POST", "/v1/domains/*/memory",
     by_body<[](Body& body) { return body.then(&Manager::set_memory, body.needed_number("kib", UINT64_MAX)); }>},
    {"POST", "/v1/domains/*/vcpus",
     by_body<[](Body& body) { return body.then(&Manager::set_vcpus, body.needed_number("count", UINT32_MAX)); }>},
    {"POST", "/v1/domains/*/pin", pin},
    {"POST", "/v1/domains/*/scheduler", set_share},
    {"POST", "/v1/domains/*/autostart",
     by_body<[](Body& body) { return body.then(&Manager::set_autostart, body.flag("on", true)); }>},
    {"POST", "/v1/domains/*/disks", [](Call& call) { return attach(call, true); }},
    {"POST", "/v1/domains/*/interfaces", [](Call& call) { return attach(call, false); }},
    {"DELETE", "/v1/domains/*/disks/*", [](Call& call) { return detach(call, true); }},
    {"DELETE", "/v1/domains/*/interfaces/*", [](Call& call) { return detach(call, false); }},
    {"POST", "/v1/validate", [](Call& call) { return report(validation_report(call.manager, call.request.body)); }},
    {"GET", "/v1/events", get_events},
    {"GET", "/v1/leftovers", [](Call& call) { return report(leftovers_report(call.manager)); }},
    {"GET", "/v1/stats", [](Call& call) { return report(stats_report(call.manager)); }},
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

} // namespace

ApiAnswer error_answer(const base::Error& error, const std::string& findings) {
    const base::KindText& kind = base::text_of(error.kind);
    Object object = answer("streak.error/1");
    object.add("kind", kind.name).add("what", error.what).add("expected", error.expected);
    object.add("found", error.found).add("remedy", error.remedy);
    if (!findings.empty()) object.raw("findings", findings);
    return {kind.http_status, std::move(object).text()};
}

ApiAnswer answer_request(Manager& manager, const ApiRequest& request) {
    const Reply reply = dispatch(manager, request);
    return reply ? *reply : error_answer(reply.error());
}

} // namespace streak::manager
