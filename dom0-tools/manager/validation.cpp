// SPDX-License-Identifier: GPL-2.0-only
#include "manager/reports.hpp"

#include "manager/json.hpp"

namespace streak::manager {

namespace {

std::string lacks_of(const Environment& environment, const config::Definition& definition) {
    std::vector<std::string> lacks;
    const auto check = [&lacks](const auto& outcome) {
        if (outcome) return;
        base::Error error = outcome.error();
        const std::string remedy = std::exchange(error.remedy, {});
        lacks.push_back(std::move(Object().add("what", error.text()).add("remedy", remedy)).text());
    };
    check(environment.builder.load(definition.kernel));
    if (!definition.initrd.empty()) check(read_file(definition.initrd));
    if (!definition.disks.empty()) check(environment.host.check_backend(device::Kind::disk));
    for (const config::Disk& disk : definition.disks)
        if (!disk.path.empty()) check(environment.host.check_disk(disk));
    if (!definition.interfaces.empty()) check(environment.host.check_backend(device::Kind::interface));
    for (const config::Interface& interface : definition.interfaces)
        if (const std::string bridge = device::bridge_of(interface); !bridge.empty())
            check(environment.host.check_bridge(bridge));
    return array_of(lacks);
}

} // namespace

std::string findings_json(const std::vector<config::Finding>& findings) {
    return list_of(findings, [&](Object& object, const config::Finding& finding) {
        object.add("fate", finding.fate_name()).add("line", finding.line);
        object.add("element", finding.element).add("text", finding.text).add("remedy", finding.remedy);
    });
}

base::Outcome<std::string> validation_report(Manager& manager, const std::string& xml) {
    TRY_ASSIGN(parsed, manager.environment().parse(xml, false));
    Object object = answer("streak.validation/1");
    object.add("accepted", parsed.accepted()).raw("findings", findings_json(parsed.findings));
    object.raw("lacks", parsed.accepted() ? lacks_of(manager.environment(), parsed.definition) : "[]");
    return std::move(object).text();
}

} // namespace streak::manager
