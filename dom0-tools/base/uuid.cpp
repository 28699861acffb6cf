// SPDX-License-Identifier: GPL-2.0-only
#include "base/uuid.hpp"

#include <cstring>
#include <random>

#include <sys/random.h>

namespace streak::base {

namespace {

/// A hyphen stands before these bytes.
constexpr bool hyphen_before(std::size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

std::optional<std::uint8_t> digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
}

} // namespace

std::optional<Uuid> Uuid::parse(std::string_view text) {
    const bool hyphens = text.size() == 36;
    if (!hyphens && text.size() != 32) return std::nullopt;
    Uuid uuid;
    std::size_t at = 0;
    for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
        if (hyphens && hyphen_before(i) && text[at++] != '-') return std::nullopt;
        const auto high = digit(text[at++]), low = digit(text[at++]);
        if (!high || !low) return std::nullopt;
        uuid.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
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
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (hyphen_before(i)) text += '-';
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 15];
    }
    return text;
}

} // namespace streak::base
