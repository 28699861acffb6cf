// SPDX-License-Identifier: GPL-2.0-only
#include "console/safe_text.hpp"

#include "base/text.hpp"

namespace streak::console {

namespace {

void add_hex(std::uint8_t byte, std::string& safe) { base::append_hex(safe += "\\x", static_cast<char>(byte)); }

/// Continuation bytes after the first one; 0: it begins no sequence.
unsigned sequence_of(std::uint8_t byte) {
    if (byte >= 0xc2 && byte <= 0xdf) return 1;
    if (byte >= 0xe0 && byte <= 0xef) return 2;
    return byte >= 0xf0 && byte <= 0xf4 ? 3 : 0;
}

bool is_continuation(std::uint8_t byte) { return (byte & 0xc0) == 0x80; }

} // namespace

void SafeText::feed(std::string_view raw, std::string& safe) {
    for (const char c : raw) feed(static_cast<std::uint8_t>(c), safe);
}

void SafeText::feed(std::uint8_t byte, std::string& safe) {
    if (byte == '\r') {
        if (lead_ != 0) release(safe);
        continuation_ = 0;
        ++returns_;
        return;
    }
    if (byte == '\n') returns_ = 0;
    if (lead_ != 0 && is_continuation(byte)) {
        // The first continuation byte says whether it is a C1 control, which only 0xc2 begins.
        if (lead_ == 0xc2 && byte < 0xa0) {
            add_hex(byte, safe);
            continuation_ = 0;
        } else {
            safe += static_cast<char>(lead_);
            safe += static_cast<char>(byte);
            --continuation_;
        }
        lead_ = 0;
        return;
    }
    release(safe);
    if (continuation_ != 0 && is_continuation(byte)) {
        --continuation_;
        safe += static_cast<char>(byte);
        return;
    }
    continuation_ = sequence_of(byte);
    if (continuation_ != 0) {
        lead_ = byte;
    } else if (byte >= 0x80) {
        add_hex(byte, safe);
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
        safe += '^';
        safe += static_cast<char>(byte ^ 0x40);
    } else {
        safe += static_cast<char>(byte);
    }
    in_line_ = byte != '\n';
}

void SafeText::release(std::string& safe) {
    for (; returns_ != 0; --returns_) safe += "^M";
    if (lead_ == 0) return;
    add_hex(lead_, safe);
    lead_ = 0;
    continuation_ = 0;
}

void SafeText::finish_line(std::string& safe) {
    returns_ = 0;
    release(safe);
    continuation_ = 0;
    if (in_line_) safe += '\n';
    in_line_ = false;
}

} // namespace streak::console
