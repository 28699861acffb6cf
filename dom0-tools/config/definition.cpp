// SPDX-License-Identifier: GPL-2.0-only
#include "config/definition.hpp"

#include "base/text.hpp"
#include "config/values.hpp"

#include <algorithm>

namespace streak::config {

namespace {

/// A disk's letters and the digits of its partition.
struct TargetName {
    std::uint32_t disk = 0; ///< a = 0 … z = 25, aa = 26
    std::uint32_t partition = 0;
};

std::optional<TargetName> split_target(std::string_view text) {
    const std::size_t letters = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), text.size());
    if (letters == 0 || letters > 4) return std::nullopt;
    TargetName name;
    for (const char c : text.substr(0, letters)) name.disk = name.disk * 26 + static_cast<std::uint32_t>(c - 'a') + 1;
    --name.disk;
    const std::string_view digits = text.substr(letters);
    if (digits.empty()) return name;
    const auto partition = base::parse_number<std::uint8_t>(digits);
    if (!partition || digits.front() == '0') return std::nullopt;
    name.partition = *partition;
    return name;
}

std::size_t characters(std::string_view utf8) {
    return static_cast<std::size_t>(
        std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

} // namespace

std::optional<MacAddress> parse_mac(std::string_view text) {
    MacAddress mac{};
    if (text.size() != mac.size() * 3 - 1) return std::nullopt;
    for (std::size_t i = 0; i < mac.size(); ++i) {
        const auto byte = base::parse_hex(text.substr(i * 3, 2));
        if (!byte || (i > 0 && text[i * 3 - 1] != ':')) return std::nullopt;
        mac[i] = *byte;
    }
    return mac;
}

std::string to_text(const MacAddress& mac) {
    std::string text;
    for (const std::uint8_t byte : mac) base::append_hex(text.empty() ? text : text += ':', static_cast<char>(byte));
    return text;
}

MacAddress derived_mac(const base::Uuid& uuid, std::size_t place) {
    std::uint32_t hash = 2166136261; // FNV-1a
    const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 16777619; };
    for (const std::uint8_t byte : uuid.bytes) mix(byte);
    for (std::size_t rest = place; rest != 0; rest >>= 8) mix(static_cast<std::uint8_t>(rest));
    const auto byte = [hash](unsigned shift) { return static_cast<std::uint8_t>(hash >> shift); };
    return {0x00, 0x16, 0x3e, static_cast<std::uint8_t>(byte(16) & 0x7f), byte(8), byte(0)};
}

std::optional<std::uint32_t> virtual_device_number(std::string_view target) {
    const bool xvd = target.starts_with("xvd");
    const auto name = split_target(target.substr(std::min<std::size_t>(xvd ? 3 : 2, target.size())));
    if (!name) return std::nullopt;
    const auto [disk, partition] = *name;
    if (xvd && disk < 16 && partition < 16) return 202u << 8 | disk << 4 | partition;
    if (xvd && disk < 1u << 20) return 1u << 28 | disk << 8 | partition;
    if (target.starts_with("hd") && disk < 4 && partition < 64)
        return (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | partition;
    if (target.starts_with("sd") && disk < 16 && partition < 16) return 8u << 8 | disk << 4 | partition;
    return std::nullopt;
}

base::Outcome<> check_name(std::string_view name) {
    const auto wrong = [&](std::string expected, std::string remedy = "Choose another name") {
        return base::error(base::ErrorKind::invalid, "a domain can't have this name", std::move(expected), quoted(name),
                           std::move(remedy));
    };
    if (name.empty()) return wrong("at least one character");
    if (characters(name) > 64) return wrong("at most 64 characters", cat("It has ", characters(name)));
    if (!printable(name) || trimmed(name) != name) return wrong("printable characters, without blanks around them");
    if (name.find('/') != name.npos || name == "." || name == "..") return wrong("a name without '/'");
    if (name.find_first_not_of("0123456789") == name.npos)
        return wrong("a name that is no number", "Numbers are those of running domains");
    if (base::Uuid::parse(name)) return wrong("a name that is no UUID", "UUIDs are looked up before names");
    return {};
}

void complete(Definition& definition) {
    if (!definition.uuid) definition.uuid = base::Uuid::random();
    for (std::size_t i = 0; i < definition.interfaces.size(); ++i) {
        for (std::size_t place = i; definition.interfaces[i].mac == MacAddress{}; place += max_devices) {
            const MacAddress mac = derived_mac(*definition.uuid, place);
            if (std::ranges::find(definition.interfaces, mac, &Interface::mac) == definition.interfaces.end())
                definition.interfaces[i].mac = mac;
        }
    }
}

} // namespace streak::config
