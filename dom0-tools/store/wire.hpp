// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <xen/io/xs_wire.h>

#include "lib/errno.hpp"

// The protocol's messages (xen/io/xs_wire.h). Pure: bytes in, messages out.

namespace streak::store {

/// The bytes of a message on the wire.
[[nodiscard]] std::string encode(std::uint32_t type, std::uint32_t request, std::uint32_t transaction,
                                 std::string_view payload);

struct Message {
    std::uint32_t type = XS_INVALID;
    std::uint32_t request = 0;
    std::uint32_t transaction = 0;
    std::string payload;

    [[nodiscard]] std::string encode() const { return store::encode(type, request, transaction, payload); }
};

/// `ENOENT` and so on; what the protocol has no name for is EINVAL.
[[nodiscard]] std::string_view error_name(Errno error);

/// The error of a name, with or without its NUL; EIO for a name that is not known.
[[nodiscard]] Errno error_of(std::string_view name);

/// Cuts a stream into messages, in whatever pieces it comes.
class MessageReader {
public:
    /// Adds bytes that arrived.
    void feed(std::string_view bytes) { buffer_ += bytes; }
    /// The next message, if it is whole. EINVAL: a payload longer than XENSTORE_PAYLOAD_MAX; the stream is lost.
    [[nodiscard]] Result<std::optional<Message>> next();
    /// Bytes of a message that is not whole yet.
    [[nodiscard]] std::string_view rest() const { return buffer_; }

private:
    std::string buffer_;
};

[[nodiscard]] inline std::string with_nul(std::string_view text) {
    std::string s;
    s.reserve(text.size() + 1);
    return s.append(text) += '\0';
}

/// The strings of a payload, each of which ends in NUL. EINVAL: the last one does not.
[[nodiscard]] Result<std::vector<std::string_view>> split_strings(std::string_view payload);

} // namespace streak::store
