// SPDX-License-Identifier: GPL-2.0-only
#include "config/definition.hpp"

#include <algorithm>

#include "config/values.hpp"

namespace streak::config {

namespace {

std::optional<unsigned> hex_digit(char c) {
    if ('0' <= c && c <= '9') return c - '0';
    if ('a' <= c && c <= 'f') return c - 'a' + 10;
    if ('A' <= c && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
}

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
    const auto partition = parse_number(digits);
    if (!partition || *partition == 0 || *partition > 255 || digits.front() == '0') return std::nullopt;
    name.partition = static_cast<std::uint32_t>(*partition);
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
        const auto high = hex_digit(text[i * 3]), low = hex_digit(text[i * 3 + 1]);
        if (!high || !low || (i > 0 && text[i * 3 - 1] != ':')) return std::nullopt;
        mac[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    }
    return mac;
}

std::string to_text(const MacAddress& mac) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : mac) {
        if (!text.empty()) text += ':';
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

MacAddress derived_mac(const base::Uuid& uuid, std::size_t place) {
    std::uint32_t hash = 2166136261; // FNV-1a
    const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 16777619; };
    for (const std::uint8_t byte : uuid.bytes) mix(byte);
    for (std::size_t rest = place; rest != 0; rest >>= 8) mix(static_cast<std::uint8_t>(rest));
    return {0x00,
            0x16,
            0x3e,
            static_cast<std::uint8_t>(hash >> 16 & 0x7f),
            static_cast<std::uint8_t>(hash >> 8),
            static_cast<std::uint8_t>(hash)};
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
