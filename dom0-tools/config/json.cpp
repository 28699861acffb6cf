// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include <nlohmann/json.hpp>

#include "config/report.hpp"
#include "config/values.hpp"
#include "config/xml_tree.hpp"

// The form of the answer of the sandbox and of the API. What comes back is checked member by member: types, limits and
// what the XML's reader promises of a definition.

namespace streak::config {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view fates[] = {"used", "ignored", "refused"};
constexpr std::string_view actions[] = {"destroy", "restart", "rename-restart", "preserve"};
constexpr std::string_view clocks[] = {"utc", "localtime"};
constexpr std::string_view disk_sources[] = {"file", "block"};
constexpr std::string_view interface_sources[] = {"bridge", "ethernet", "network"};

/// Thrown by the readers below; from_json() alone catches it.
struct Wrong {
    std::string what;
};

class Object {
public:
    explicit Object(const Json& json, std::string_view where) : json_(json), where_(where) {
        if (!json.is_object()) throw Wrong{cat(where, " is no object")};
    }

    [[nodiscard]] const Json& at(std::string_view name) const {
        const auto found = json_.find(name);
        if (found == json_.end()) throw Wrong{cat(where_, " lacks ", name)};
        return *found;
    }
    [[nodiscard]] std::string text(std::string_view name, std::size_t longest, bool any_character = false) const {
        const Json& value = at(name);
        if (!value.is_string()) throw wrong(name);
        const auto& text = value.get_ref<const std::string&>();
        if (text.size() > longest || (!any_character && !printable(text))) throw wrong(name);
        return text;
    }
    template <class T> [[nodiscard]] T number(std::string_view name, std::int64_t least, std::int64_t most) const {
        const Json& value = at(name);
        if (!value.is_number_integer()) throw wrong(name);
        const auto number = value.get<std::int64_t>();
        if (number < least || number > most) throw wrong(name);
        return static_cast<T>(number);
    }
    [[nodiscard]] bool flag(std::string_view name) const {
        if (!at(name).is_boolean()) throw wrong(name);
        return at(name).get<bool>();
    }
    template <class T, std::size_t N>
    [[nodiscard]] T choice(std::string_view name, const std::string_view (&known)[N]) const {
        const auto found = std::ranges::find(known, text(name, 64));
        if (found == std::end(known)) throw wrong(name);
        return static_cast<T>(found - known);
    }
    /// Calls `use` with each member of a list.
    void each(std::string_view name, std::size_t most, auto&& use) const {
        if (!at(name).is_array() || at(name).size() > most) throw wrong(name);
        for (const Json& item : at(name)) use(item);
    }
    [[nodiscard]] CpuList cpus(std::string_view name) const {
        CpuList list;
        each(name, max_cpus, [&](const Json& item) {
            if (!item.is_number_unsigned() || item.get<std::uint64_t>() >= max_cpus) throw wrong(name);
            if (!list.empty() && list.back() >= item.get<std::uint32_t>()) throw wrong(name);
            list.push_back(item.get<std::uint32_t>());
        });
        return list;
    }
    /// An absolute path, or nothing.
    [[nodiscard]] std::string path(std::string_view name) const {
        std::string value = text(name, max_path);
        if (!value.empty() && value.front() != '/') throw wrong(name);
        return value;
    }
    [[nodiscard]] Wrong wrong(std::string_view name) const { return {cat(where_, "'s ", name, " has a wrong value")}; }

private:
    const Json& json_;
    std::string_view where_;
};

Json write(const Disk& d) {
    return {{"type", disk_sources[static_cast<std::size_t>(d.source)]},
            {"path", d.path},
            {"target", d.target},
            {"read_only", d.read_only},
            {"shareable", d.shareable},
            {"cdrom", d.cdrom}};
}

Disk read_disk(const Json& json) {
    const Object o(json, "disk");
    Disk d{.source = o.choice<Disk::Source>("type", disk_sources),
           .path = o.path("path"),
           .target = o.text("target", 16),
           .read_only = o.flag("read_only"),
           .shareable = o.flag("shareable"),
           .cdrom = o.flag("cdrom")};
    if (!virtual_device_number(d.target)) throw o.wrong("target");
    if (d.path.empty() && !d.cdrom) throw o.wrong("path");
    return d;
}

Json write(const Interface& i) {
    return {{"type", interface_sources[static_cast<std::size_t>(i.source)]},
            {"bridge", i.bridge},
            {"mac", i.mac == MacAddress{} ? "" : to_text(i.mac)},
            {"ips", i.ips},
            {"script", i.script},
            {"vifname", i.vifname},
            {"model", i.model},
            {"outbound_kib_per_s", i.outbound_kib_per_s},
            {"link_up", i.link_up}};
}

Interface read_interface(const Json& json) {
    const Object o(json, "interface");
    Interface i{.source = o.choice<Interface::Source>("type", interface_sources),
                .bridge = o.text("bridge", 64),
                .mac = {},
                .ips = {},
                .script = o.text("script", max_path),
                .vifname = o.text("vifname", 15),
                .model = o.text("model", 64),
                .outbound_kib_per_s = o.number<std::uint64_t>("outbound_kib_per_s", 0, std::int64_t{1} << 31),
                .link_up = o.flag("link_up")};
    if (const std::string mac = o.text("mac", 17); !mac.empty()) {
        const auto parsed = parse_mac(mac);
        if (!parsed || ((*parsed)[0] & 1)) throw o.wrong("mac");
        i.mac = *parsed;
    }
    if (i.source == Interface::Source::bridge && !device_name_fault(i.bridge).empty()) throw o.wrong("bridge");
    if (i.source == Interface::Source::network && i.bridge.empty()) throw o.wrong("bridge");
    if (!i.vifname.empty() && !device_name_fault(i.vifname).empty()) throw o.wrong("vifname");
    o.each("ips", 16, [&](const Json& ip) {
        if (!ip.is_string() || !is_ip_address(ip.get_ref<const std::string&>())) throw o.wrong("ips");
        i.ips.push_back(ip.get<std::string>());
    });
    return i;
}

Json write(const Finding& f) {
    Json json = {{"fate", fates[static_cast<std::size_t>(f.fate)]}, {"line", f.line}, {"element", f.element}};
    if (!f.text.empty()) json["text"] = f.text;
    if (!f.remedy.empty()) json["remedy"] = f.remedy;
    return json;
}

Finding read_finding(const Json& json) {
    const Object o(json, "finding");
    const auto optional = [&](std::string_view name) {
        return json.contains(name) ? o.text(name, 8192, true) : std::string();
    };
    return {o.choice<Finding::Fate>("fate", fates), o.number<std::uint32_t>("line", 0, 1 << 20),
            o.text("element", 4096, true), optional("text"), optional("remedy")};
}

/// Members `disks` and `interfaces`.
Json write_devices(const Definition& d) {
    Json json = {{"disks", Json::array()}, {"interfaces", Json::array()}};
    for (const Disk& disk : d.disks) json["disks"].push_back(write(disk));
    for (const Interface& interface : d.interfaces) json["interfaces"].push_back(write(interface));
    return json;
}

Json write(const Definition& d) {
    Json json = write_devices(d);
    json.update({{"name", d.name},
                 {"uuid", d.uuid ? d.uuid->text() : ""},
                 {"title", d.title},
                 {"description", d.description},
                 {"max_memory_kib", d.max_memory_kib},
                 {"memory_kib", d.memory_kib},
                 {"max_vcpus", d.max_vcpus},
                 {"vcpus", d.vcpus},
                 {"cpus", d.cpus},
                 {"pins", Json::array()},
                 {"weight", d.weight},
                 {"cap", d.cap_percent},
                 {"kernel", d.kernel},
                 {"initrd", d.initrd},
                 {"command_line", d.command_line},
                 {"bootloader", d.bootloader},
                 {"on_poweroff", actions[static_cast<std::size_t>(d.on_poweroff)]},
                 {"on_reboot", actions[static_cast<std::size_t>(d.on_reboot)]},
                 {"on_crash", actions[static_cast<std::size_t>(d.on_crash)]},
                 {"clock", clocks[static_cast<std::size_t>(d.clock)]},
                 {"clock_offset_seconds", d.clock_offset_seconds},
                 {"tsc_mode", d.tsc_mode},
                 {"max_grant_frames", d.max_grant_frames},
                 {"max_event_channels", d.max_event_channels},
                 {"seclabel", d.seclabel},
                 {"autostart", d.autostart}});
    for (const VcpuPin& pin : d.pins) json["pins"].push_back({{"vcpu", pin.vcpu}, {"cpus", pin.cpus}});
    return json;
}

/// What holds between values of a definition.
void check(const Object& o, const Definition& d) {
    if (!check_name(d.name)) throw o.wrong("name");
    if (d.memory_kib > d.max_memory_kib || d.memory_kib % 4 != 0 || d.max_memory_kib % 4 != 0)
        throw o.wrong("memory_kib");
    if (d.vcpus > d.max_vcpus) throw o.wrong("vcpus");
    if (d.kernel.empty()) throw o.wrong("kernel");
    for (std::size_t i = 0; i < d.disks.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (virtual_device_number(d.disks[i].target) == virtual_device_number(d.disks[j].target))
                throw o.wrong("disks");
    for (std::size_t i = 0; i < d.interfaces.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (d.interfaces[i].mac != MacAddress{} && d.interfaces[i].mac == d.interfaces[j].mac)
                throw o.wrong("interfaces");
}

void read_pins(const Object& o, Definition& d) {
    o.each("pins", max_vcpus, [&](const Json& json) {
        const Object pin(json, "pin");
        d.pins.push_back({pin.number<std::uint32_t>("vcpu", 0, d.max_vcpus - 1), pin.cpus("cpus")});
        if (d.pins.back().cpus.empty()) throw pin.wrong("cpus");
        if (d.pins.size() > 1 && d.pins[d.pins.size() - 2].vcpu >= d.pins.back().vcpu) throw pin.wrong("vcpu");
    });
}

Definition read_definition(const Json& json, bool device) {
    const Object o(json, "definition");
    Definition d;
    const auto read_devices = [&] {
        o.each("disks", max_devices, [&](const Json& disk) { d.disks.push_back(read_disk(disk)); });
        o.each("interfaces", max_devices, [&](const Json& i) { d.interfaces.push_back(read_interface(i)); });
    };
    if (device) return read_devices(), d;
    d.name = o.text("name", 256);
    if (const std::string uuid = o.text("uuid", 36); !uuid.empty() && !(d.uuid = base::Uuid::parse(uuid)))
        throw o.wrong("uuid");
    d.title = o.text("title", 1024);
    d.description = o.text("description", max_xml_bytes, true);
    d.max_memory_kib = o.number<std::uint64_t>("max_memory_kib", min_memory_kib, max_memory_kib);
    d.memory_kib = o.number<std::uint64_t>("memory_kib", min_memory_kib, max_memory_kib);
    d.max_vcpus = o.number<std::uint32_t>("max_vcpus", 1, max_vcpus);
    d.vcpus = o.number<std::uint32_t>("vcpus", 1, max_vcpus);
    d.cpus = o.cpus("cpus");
    read_pins(o, d);
    d.weight = o.number<std::uint16_t>("weight", 1, 65535);
    d.cap_percent = o.number<std::uint16_t>("cap", 0, 65535);
    d.kernel = o.path("kernel");
    d.initrd = o.path("initrd");
    d.command_line = o.text("command_line", max_command_line, true);
    d.bootloader = o.text("bootloader", max_path, true);
    d.on_poweroff = o.choice<Action>("on_poweroff", actions);
    d.on_reboot = o.choice<Action>("on_reboot", actions);
    d.on_crash = o.choice<Action>("on_crash", actions);
    d.clock = o.choice<Definition::Clock>("clock", clocks);
    d.clock_offset_seconds = o.number<std::int32_t>("clock_offset_seconds", INT32_MIN, INT32_MAX);
    d.tsc_mode = o.number<std::uint32_t>("tsc_mode", 0, 2);
    read_devices();
    d.max_grant_frames = o.number<std::uint32_t>("max_grant_frames", 0, 65535);
    d.max_event_channels = o.number<std::uint32_t>("max_event_channels", 0, 131'072);
    d.seclabel = o.text("seclabel", 256);
    d.autostart = o.flag("autostart");
    check(o, d);
    return d;
}

/// A device alone is what parse_device_xml() gives: a definition without a name.
bool is_device(const Definition& d) { return d.name.empty(); }

} // namespace

std::string to_json(const Parsed& parsed) {
    Json json = {{"accepted", parsed.accepted()}, {"findings", Json::array()}};
    for (const Finding& finding : parsed.findings) json["findings"].push_back(write(finding));
    if (parsed.accepted()) {
        json[is_device(parsed.definition) ? "device" : "definition"] =
            is_device(parsed.definition) ? write_devices(parsed.definition) : write(parsed.definition);
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

base::Outcome<Parsed> from_json(std::string_view text) {
    const auto wrong = [](std::string what) {
        return base::error(base::ErrorKind::internal, "a parsed definition came back damaged: " + what);
    };
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return wrong("it is no JSON");
    try {
        const Object o(json, "it");
        Parsed parsed;
        o.each("findings", max_xml_nodes + 100, [&](const Json& f) { parsed.findings.push_back(read_finding(f)); });
        if (o.flag("accepted") != parsed.accepted()) throw o.wrong("accepted");
        const bool device = json.contains("device");
        if (parsed.accepted()) parsed.definition = read_definition(o.at(device ? "device" : "definition"), device);
        return parsed;
    } catch (const Wrong& fault) {
        return wrong(fault.what);
    }
}

} // namespace streak::config
