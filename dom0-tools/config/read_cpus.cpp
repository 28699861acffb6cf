// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <limits>
#include <set>

#include "config/reader.hpp"

namespace streak::config {

namespace {

/// `<vcpus>` names the vCPUs that are there at the start; they must be the first ones.
void read_vcpu_list(Reader& reader, const Element& vcpus, Definition& definition) {
    std::set<std::uint64_t> enabled;
    for (const Element& vcpu : vcpus.children) {
        if (!reader.takes(&vcpu)) continue;
        const Node* const id = vcpu.attribute("id");
        if (!id) {
            reader.refuse_missing(vcpu, "@id", "expected a vCPU's number");
            continue;
        }
        const auto number = reader.number(*id, 0, definition.max_vcpus - 1);
        if (number && vcpu.get("enabled") == "yes") enabled.insert(*number);
    }
    if (enabled.empty() || *enabled.begin() != 0 || *enabled.rbegin() != enabled.size() - 1)
        return reader.refuse(vcpus, "expected vCPUs to be enabled from 0 on without gaps",
                             "Use <vcpu current='N'> instead");
    definition.vcpus = static_cast<std::uint32_t>(enabled.size());
}

/// Percent of one CPU that `quota` of each `period` is for `vcpus` vCPUs; 0: no limit.
std::uint64_t cap(std::int64_t quota, std::uint64_t period, std::uint64_t vcpus) {
    if (quota <= 0) return 0;
    const unsigned __int128 percent = (static_cast<unsigned __int128>(quota) * 100 * vcpus + period - 1) / period;
    return percent > std::numeric_limits<std::uint16_t>::max() ? 0 : static_cast<std::uint64_t>(percent);
}

/// The cap that one pair of elements asks for.
std::uint64_t read_cap(Reader& reader, const Element& cputune, std::string_view prefix, std::uint64_t vcpus) {
    const Element* const quota = cputune.child(cat(prefix, "quota"));
    const Element* const period = cputune.child(cat(prefix, "period"));
    std::uint64_t length = 100'000; // microseconds
    if (reader.takes(period)) length = reader.number(*period, 1000, 1'000'000).value_or(length);
    if (!reader.takes(quota)) return 0;
    const auto value = parse_signed(trimmed(quota->value));
    if (!value || *value < -1)
        return reader.refuse(*quota, "expected microseconds of each period, or -1; found " + quoted(quota->value)), 0;
    const std::uint64_t percent = cap(*value, length, vcpus);
    if (percent != 0) reader.note(*quota, cat("all vCPUs together get ", percent, " % of one CPU"));
    return percent;
}

void read_pin(Reader& reader, const Element& pin, Definition& definition) {
    const Node* const vcpu = pin.attribute("vcpu");
    const Node* const cpuset = pin.attribute("cpuset");
    if (!vcpu || !cpuset) return reader.refuse_missing(pin, vcpu ? "@cpuset" : "@vcpu", "expected vcpu='N' cpuset='…'");
    const auto number = reader.number(*vcpu, 0, std::numeric_limits<std::uint32_t>::max());
    const auto cpus = reader.cpus(*cpuset);
    if (!number || !cpus) return;
    if (*number >= definition.max_vcpus)
        return reader.ignore(pin, cat("the guest has ", definition.max_vcpus, " vCPUs, numbered from 0"));
    if (std::ranges::find(definition.pins, *number, &VcpuPin::vcpu) != definition.pins.end())
        return reader.refuse(pin, cat("vCPU ", *number, " is pinned already"), "Keep one of them");
    definition.pins.push_back({static_cast<std::uint32_t>(*number), *cpus});
}

} // namespace

void read_vcpus(Reader& reader, const Element& root, Definition& definition) {
    if (const Element* const vcpu = root.child("vcpu"); reader.takes(vcpu)) {
        const auto count = reader.number(*vcpu, 1, max_vcpus);
        definition.max_vcpus = definition.vcpus = static_cast<std::uint32_t>(count.value_or(1));
        if (const Node* const current = vcpu->attribute("current"); count && reader.takes(current))
            definition.vcpus = static_cast<std::uint32_t>(reader.number(*current, 1, *count).value_or(1));
        const Node* const cpuset = vcpu->attribute("cpuset");
        if (vcpu->get("placement") == "auto" && cpuset) reader.ignore(*cpuset, "placement='auto' leaves it out");
        if (reader.takes(cpuset)) definition.cpus = reader.cpus(*cpuset).value_or(CpuList{});
    }
    if (const Element* const vcpus = root.child("vcpus"); reader.takes(vcpus) && !vcpus->children.empty())
        read_vcpu_list(reader, *vcpus, definition);
}

void read_cputune(Reader& reader, const Element& cputune, Definition& definition) {
    if (const Element* const shares = cputune.child("shares"); reader.takes(shares)) {
        definition.weight = static_cast<std::uint16_t>(reader.number(*shares, 1, 65535).value_or(256));
        reader.note(*shares, "the weight against other guests; a guest without <shares> has 256");
    }
    const std::uint64_t domain = read_cap(reader, cputune, "global_", 1);
    const std::uint64_t each = read_cap(reader, cputune, "", definition.max_vcpus);
    definition.cap_percent = static_cast<std::uint16_t>(domain && each ? std::min(domain, each) : domain | each);
    for (const Element& child : cputune.children)
        if (child.name == "vcpupin" && reader.takes(&child)) read_pin(reader, child, definition);
    std::ranges::sort(definition.pins, {}, &VcpuPin::vcpu);
}

} // namespace streak::config
