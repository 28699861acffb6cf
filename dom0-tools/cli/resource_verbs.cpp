// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"

#include <numeric>
#include <optional>

// Memory, vCPUs and the share of the CPUs.

namespace streak::cli {
namespace {

struct MemoryValues {
    std::string domain, size;
    std::optional<std::string> wait;
    bool no_wait = false;
};

struct VcpusValues {
    std::string domain, count;
};

struct PinValues {
    std::string domain, cpus;
    std::optional<std::string> vcpu;
};

struct ScheduleValues {
    std::string domain;
    std::optional<std::string> weight, cap;
};

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

Outcome<> set_memory(Context& context, const MemoryValues& v) {
    TRY_ASSIGN(kib, parse_memory(v.size));
    TRY_ASSIGN(seconds, parse_number("time to wait", v.wait.value_or("10"), 1, 86400));
    TRY_ASSIGN(path, domain_path(v.domain));
    context.step("changing the memory of " + printable(v.domain));
    TRY(context.post(path + "/memory", {{"kib", kib}}));
    if (v.no_wait) {
        context.print({{"schema", "streak.done/1"}},
                      printable(v.domain) + ": asked to have " + memory_text(kib) + '\n');
        return {};
    }
    TRY_ASSIGN(domain, await_memory(context, path, kib, seconds));
    context.print(domain, printable(v.domain) + ": " + memory_text(number_of(domain, "memory_kib")) + '\n');
    return {};
}

Outcome<> set_vcpus(Context& context, const VcpusValues& v) {
    TRY_ASSIGN(count, parse_number("number of vCPUs", v.count, 1, 8192));
    TRY_ASSIGN(path, domain_path(v.domain, "/vcpus"));
    context.step("changing the vCPUs of " + printable(v.domain));
    TRY_ASSIGN(answer, context.post(path, {{"count", count}}));
    context.print(answer, printable(v.domain) + ": " + std::to_string(count) + " vCPUs\n");
    return {};
}

/// "all" or a list.
Outcome<std::vector<std::uint32_t>> cpus_of(Context& context, const std::string& text) {
    if (text != "all") return parse_cpus(text);
    TRY_ASSIGN(host, context.get("/v1/host"));
    std::vector<std::uint32_t> cpus(number_of(host, "cpus"));
    std::iota(cpus.begin(), cpus.end(), 0);
    return cpus;
}

Outcome<> pin(Context& context, const PinValues& v) {
    TRY_ASSIGN(cpus, cpus_of(context, v.cpus));
    Json body{{"cpus", cpus}};
    if (v.vcpu) {
        TRY_ASSIGN(vcpu, parse_number("number of a vCPU", *v.vcpu, 0, 8191));
        body["vcpu"] = vcpu;
    }
    TRY_ASSIGN(path, domain_path(v.domain, "/pin"));
    TRY_ASSIGN(answer, context.post(path, body));
    context.print(answer, printable(v.domain) + ": may run on " + cpus_text(cpus) + '\n');
    return {};
}

Outcome<> schedule(Context& context, const ScheduleValues& v) {
    Json body = Json::object();
    if (v.weight) {
        TRY_ASSIGN(weight, parse_number("weight", *v.weight, 1, 65535));
        body["weight"] = weight;
    }
    if (v.cap) {
        TRY_ASSIGN(cap, parse_number("cap", *v.cap, 0, 65535));
        body["cap"] = cap;
    }
    if (body.empty())
        return base::error(base::ErrorKind::usage, "there is nothing to change", "--weight, --cap or both", {},
                           "`streak dominfo` shows what they are now");
    TRY_ASSIGN(path, domain_path(v.domain, "/scheduler"));
    TRY_ASSIGN(answer, context.post(path, body));
    context.print(answer, printable(v.domain) + ": changed\n");
    return {};
}

} // namespace

Action declare_set_memory(Options& options) {
    auto values = std::make_shared<MemoryValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.argument("SIZE", values->size, "with its unit: 65536K, 256M, 1.5G");
    options.value("--wait", "S", values->wait, "wait at most S seconds (10) for the guest to follow");
    options.flag("--no-wait", values->no_wait, "do not wait for the guest");
    return with(values, +set_memory);
}

Action declare_set_vcpus(Options& options) {
    auto values = std::make_shared<VcpusValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.argument("COUNT", values->count, "at most as many as the definition allows");
    return with(values, +set_vcpus);
}

Action declare_pin(Options& options) {
    auto values = std::make_shared<PinValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.argument("CPUS", values->cpus, "such as 0-3,6, or all");
    options.value("--vcpu", "N", values->vcpu, "only this vCPU");
    return with(values, +pin);
}

Action declare_schedule(Options& options) {
    auto values = std::make_shared<ScheduleValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.value("--weight", "N", values->weight, "share relative to other domains (256)");
    options.value("--cap", "PERCENT", values->cap, "at most so much of one CPU; 0: no limit");
    return with(values, +schedule);
}

} // namespace streak::cli
