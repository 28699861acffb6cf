// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"

// Memory, vCPUs and the share of the CPUs.

namespace streak::cli {
namespace {

/// Guests keep a few pages more or less than they are asked to.
constexpr std::uint64_t tolerance_kib = 1024;

/// Looks until the guest has the memory that it was asked to have.
Outcome<Json> await_memory(Context& context, const std::string& path, std::uint64_t kib, std::uint32_t seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (true) {
        TRY_ASSIGN(domain, context.get(path));
        const auto has = number_of(domain, "memory_kib");
        if ((has > kib ? has - kib : kib - has) <= tolerance_kib) return std::move(domain);
        if (std::chrono::steady_clock::now() >= end)
            return base::error(base::ErrorKind::timeout, "the guest does not follow the change of its memory",
                               memory_text(kib) + " within " + std::to_string(seconds) + " s", memory_text(has),
                               "does it run a balloon driver, and can it spare the memory? The request stands");
        sleep_for(std::chrono::milliseconds(100));
    }
}

/// A number that may have been given, into the body of a request.
Outcome<> put_number(Json& body, const char* member, const Options::Value& given, std::string_view what,
                     std::uint32_t least, std::uint32_t most) {
    if (!given) return {};
    TRY_ASSIGN(number, parse_number(what, *given, least, most));
    body[member] = number;
    return {};
}

Outcome<> set_memory(Context& context, const std::string& domain, const std::string& size, const Options::Value& wait,
                     bool no_wait) {
    TRY_ASSIGN(kib, parse_memory(size));
    TRY_ASSIGN(seconds, parse_number("time to wait", wait.value_or("10"), 1, 3600));
    if (no_wait)
        return change(context, domain, "memory", {{"kib", kib}}, "asking", "asked to have " + memory_text(kib));
    TRY_ASSIGN(path, domain_path(domain));
    context.step("changing the memory of " + printable(domain));
    TRY(context.post(path + "/memory", {{"kib", kib}}));
    TRY_ASSIGN(changed, await_memory(context, path, kib, seconds));
    return context.print(changed, printable(domain) + ": " + memory_text(number_of(changed, "memory_kib")) + '\n');
}

Outcome<> pin(Context& context, const std::string& domain, const std::string& list, const Options::Value& vcpu) {
    std::string range = list;
    if (list == "all") {
        TRY_ASSIGN(host, context.get("/v1/host"));
        range = "0-" + std::to_string(number_of(host, "cpus") - 1);
    }
    TRY_ASSIGN(cpus, parse_cpus(range));
    Json body{{"cpus", cpus}};
    TRY(put_number(body, "vcpu", vcpu, "number of a vCPU", 0, 8191));
    return change(context, domain, "pin", body, "pinning", "may run on " + cpus_text(cpus));
}

Outcome<> schedule(Context& context, const std::string& domain, const Options::Value& weight,
                   const Options::Value& cap) {
    Json body = Json::object();
    TRY(put_number(body, "weight", weight, "weight", 1, 65535));
    TRY(put_number(body, "cap", cap, "cap", 0, 65535));
    if (body.empty())
        return base::error(base::ErrorKind::usage, "there is nothing to change", "--weight, --cap or both", {},
                           "`streak dominfo` shows what they are now");
    return change(context, domain, "scheduler", body, "changing the share of", "changed");
}

} // namespace

Action declare_set_memory(Options& options) {
    const auto& domain = options.domain();
    const auto& size = options.argument("SIZE", "with its unit: 65536K, 256M, 1.5G");
    const auto& wait = options.value("--wait", "S", "wait at most S seconds (10) for the guest to follow");
    const auto& no_wait = options.flag("--no-wait", "do not wait for the guest");
    return [&domain, &size, &wait, &no_wait](Context& context) {
        return set_memory(context, domain, size, wait, no_wait);
    };
}

Action declare_set_vcpus(Options& options) {
    const auto& domain = options.domain();
    const auto& count = options.argument("COUNT", "at most as many as the definition allows");
    return [&domain, &count](Context& context) -> Outcome<> {
        TRY_ASSIGN(number, parse_number("number of vCPUs", count, 1, 8192));
        return change(context, domain, "vcpus", {{"count", number}}, "changing the vCPUs of", count + " vCPUs");
    };
}

Action declare_pin(Options& options) {
    const auto& domain = options.domain();
    const auto& cpus = options.argument("CPUS", "such as 0-3,6, or all");
    const auto& vcpu = options.value("--vcpu", "N", "only this vCPU");
    return [&domain, &cpus, &vcpu](Context& context) { return pin(context, domain, cpus, vcpu); };
}

Action declare_schedule(Options& options) {
    const auto& domain = options.domain();
    const auto& weight = options.value("--weight", "N", "share relative to other domains (256)");
    const auto& cap = options.value("--cap", "PERCENT", "at most so much of one CPU; 0: no limit");
    return [&domain, &weight, &cap](Context& context) { return schedule(context, domain, weight, cap); };
}

} // namespace streak::cli
