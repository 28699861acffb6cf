// SPDX-License-Identifier: GPL-2.0-only
// (First: it uses errno's macros, which lib/errno.hpp takes away.)
#include <nlohmann/json.hpp>

#include "manager/records.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "manager/json.hpp"

namespace streak::manager {

namespace {

using DomainPointer = std::shared_ptr<Domain>;
using nlohmann::json;

std::filesystem::path file(const std::filesystem::path& folder, const base::Uuid& uuid, const char* ending) {
    return folder / (uuid.text() + ending);
}

/// FNV-1a: tells whether a file is the one that was parsed; nobody gains by deceiving it.
std::uint64_t hash(std::string_view text) {
    std::uint64_t value = 0xcbf29ce484222325;
    for (unsigned char c : text) value = (value ^ c) * 0x100000001b3;
    return value;
}

std::string as_json(const config::Definition& definition) { return config::to_json(config::Parsed{definition, {}}); }

/// Takes the devices out of a definition into a running domain.
void take_devices(Running& running, const std::vector<std::uint32_t>& handles) {
    for (config::Disk& disk : running.definition.disks)
        if (const auto number = device::disk_number(disk.target)) running.disks.push_back({std::move(disk), *number});
    for (std::size_t i = 0; i < running.definition.interfaces.size(); ++i)
        running.interfaces.push_back({std::move(running.definition.interfaces[i]),
                                      i < handles.size() ? handles[i] : static_cast<std::uint32_t>(i)});
    running.definition.disks.clear();
    running.definition.interfaces.clear();
}

base::Outcome<DomainPointer> parse_running(const std::string& text) {
    const json record = json::parse(text);
    const auto uuid = base::Uuid::parse(record.at("uuid").get<std::string>());
    if (!uuid) return base::error(base::ErrorKind::invalid, "no UUID in it");
    TRY_ASSIGN(parsed, config::from_json(record.at("parsed").dump()));
    auto domain = std::make_shared<Domain>(*uuid);
    domain->name = parsed.definition.name;
    domain->xml = record.at("xml").get<std::string>();
    domain->definition = parsed.definition;
    domain->quick_ends = record.at("quick_ends").get<unsigned>();
    Running running{DomId(record.at("id").get<std::uint16_t>()), record.at("started").get<std::int64_t>(),
                    std::move(parsed.definition)};
    running.preserved = record.at("preserved").get<bool>();
    take_devices(running, record.at("handles").get<std::vector<std::uint32_t>>());
    domain->running = std::move(running);
    return domain;
}

base::Outcome<DomainPointer> parse_definition(
    const Paths& paths, const base::Uuid& uuid, const std::string& xml,
    const std::function<base::Outcome<config::Parsed>(const std::string&, bool)>& parse) {
    auto domain = std::make_shared<Domain>(uuid);
    domain->xml = xml;
    domain->persistent = true;
    std::optional<std::string> known; // when the record is of this XML
    if (const auto text = read_file(file(paths.definitions(), uuid, ".json"))) {
        const json record = json::parse(*text);
        domain->autostart = record.at("autostart").get<bool>();
        domain->reason = record.at("reason").get<std::string>();
        if (record.at("xml_hash").get<std::uint64_t>() == hash(xml)) known = record.at("parsed").dump();
    }
    TRY_ASSIGN(parsed, known ? config::from_json(*known) : parse(xml, false));
    if (!parsed.accepted()) return std::unexpected(parsed.as_error());
    domain->definition = std::move(parsed.definition);
    domain->definition.uuid = uuid;
    domain->name = domain->definition.name;
    return domain;
}

/// `read` for each file of a directory with this ending.
template <class F>
std::vector<DomainPointer> load(const std::filesystem::path& directory, std::string_view ending, F&& read) {
    std::vector<DomainPointer> domains;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        if (entry.path().extension() != ending) continue;
        base::Outcome<DomainPointer> domain = [&]() -> base::Outcome<DomainPointer> {
            TRY_ASSIGN(content, read_file(entry.path()));
            try {
                return read(entry.path(), content);
            } catch (const std::exception& damage) {
                return base::error(base::ErrorKind::invalid, damage.what());
            }
        }();
        if (domain) domains.push_back(std::move(*domain));
        else base::log(base::LogLevel::error, fmt::format("{}: {}", entry.path().string(), domain.error().text()));
    }
    return domains;
}

} // namespace

config::Definition live_definition(const Running& running) {
    config::Definition all = running.definition;
    for (const Disk& disk : running.disks) all.disks.push_back(disk.definition);
    for (const Interface& nic : running.interfaces) all.interfaces.push_back(nic.definition);
    return all;
}

base::Outcome<> save_running(const Paths& paths, const Domain& domain, const Running& running) {
    std::vector<std::string> handles;
    for (const Interface& nic : running.interfaces) handles.push_back(std::to_string(nic.handle));
    Object record = answer("streak.running/1");
    record.add("uuid", domain.uuid.text()).add("id", running.id.raw()).add("started", running.started_s);
    record.add("preserved", running.preserved).add("quick_ends", domain.quick_ends).raw("handles", array_of(handles));
    record.raw("parsed", as_json(live_definition(running))).add("xml", domain.xml);
    return replace_file(file(paths.domains(), domain.uuid, ".json"), std::move(record).text());
}

void forget_running(const Paths& paths, const base::Uuid& uuid) { remove_file(file(paths.domains(), uuid, ".json")); }

std::vector<DomainPointer> load_running(const Paths& paths) {
    return load(paths.domains(), ".json", [](const auto&, const std::string& text) { return parse_running(text); });
}

base::Outcome<> save_definition(const Paths& paths, const Domain& domain) {
    TRY(replace_file(file(paths.definitions(), domain.uuid, ".xml"), domain.xml, Durable::yes));
    return save_properties(paths, domain, Durable::yes);
}

base::Outcome<> save_properties(const Paths& paths, const Domain& domain, Durable durable) {
    Object record = answer("streak.definition/1");
    record.add("autostart", domain.autostart).add("reason", domain.reason).add("xml_hash", hash(domain.xml));
    record.raw("parsed", as_json(domain.definition));
    return replace_file(file(paths.definitions(), domain.uuid, ".json"), std::move(record).text(), durable);
}

void forget_definition(const Paths& paths, const base::Uuid& uuid) {
    remove_file(file(paths.definitions(), uuid, ".xml"));
    remove_file(file(paths.definitions(), uuid, ".json"));
}

std::vector<DomainPointer> load_definitions(
    const Paths& paths, const std::function<base::Outcome<config::Parsed>(const std::string&, bool)>& parse) {
    return load(paths.definitions(), ".xml",
                [&](const auto& path, const std::string& xml) -> base::Outcome<DomainPointer> {
                    const auto uuid = base::Uuid::parse(path.stem().string());
                    if (!uuid) return base::error(base::ErrorKind::invalid, "its name is not a UUID");
                    return parse_definition(paths, *uuid, xml, parse);
                });
}

} // namespace streak::manager
