// SPDX-License-Identifier: GPL-2.0-only
#include "base/uuid.hpp"

#include "base/text.hpp"

#include <random>

#include <sys/random.h>

namespace streak::base {

namespace {

/// A hyphen stands before these bytes.
constexpr bool hyphen_before(std::size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

} // namespace

std::optional<Uuid> Uuid::parse(std::string_view text) {
    const bool hyphens = text.size() == 36;
    if (!hyphens && text.size() != 32) return std::nullopt;
    Uuid uuid;
    for (std::size_t i = 0, at = 0; i < uuid.bytes.size(); ++i, at += 2) {
        if (hyphens && hyphen_before(i) && text[at++] != '-') return std::nullopt;
        const auto byte = parse_hex(text.substr(at, 2));
        if (!byte) return std::nullopt;
        uuid.bytes[i] = *byte;
    }
    return uuid;
}

Uuid Uuid::random() {
    Uuid uuid;
    // Uniqueness is wanted, not secrecy: a machine that has just started must not make a create wait for entropy.
    if (::getrandom(uuid.bytes.data(), uuid.bytes.size(), GRND_INSECURE) != static_cast<ssize_t>(uuid.bytes.size())) {
        std::random_device device;
        for (auto& byte : uuid.bytes) byte = static_cast<std::uint8_t>(device());
    }
    uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x40; // RFC 4122, 4.4: version 4
    uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80; // and its variant
    return uuid;
}

std::string Uuid::text() const {
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (hyphen_before(i)) text += '-';
        append_hex(text, static_cast<char>(bytes[i]));
    }
    return text;
}

} // namespace streak::base
