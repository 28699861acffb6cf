// SPDX-License-Identifier: GPL-2.0-only
#include "store/wire.hpp"

#include <cstring>
#include <utility>

namespace streak::store {

std::string encode(std::uint32_t type, std::uint32_t request, std::uint32_t transaction, std::string_view payload) {
    const xsd_sockmsg header{type, request, transaction, static_cast<std::uint32_t>(payload.size())};
    std::string bytes;
    bytes.reserve(sizeof header + payload.size());
    bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
    return bytes.append(payload);
}

namespace {

constexpr std::pair<Errno, std::string_view> error_names[] = {
    {Errno::EINVAL, "EINVAL"},       {Errno::EACCES, "EACCES"},   {Errno::EEXIST, "EEXIST"}, {Errno::EISDIR, "EISDIR"},
    {Errno::ENOENT, "ENOENT"},       {Errno::ENOMEM, "ENOMEM"},   {Errno::ENOSPC, "ENOSPC"}, {Errno::EIO, "EIO"},
    {Errno::ENOTEMPTY, "ENOTEMPTY"}, {Errno::ENOSYS, "ENOSYS"},   {Errno::EROFS, "EROFS"},   {Errno::EBUSY, "EBUSY"},
    {Errno::EAGAIN, "EAGAIN"},       {Errno::EISCONN, "EISCONN"}, {Errno::E2BIG, "E2BIG"},   {Errno::EPERM, "EPERM"}};

} // namespace

std::string_view error_name(Errno error) {
    for (const auto& [known, name] : error_names)
        if (known == error) return name;
    return "EINVAL";
}

Errno error_of(std::string_view text) {
    while (text.ends_with('\0')) text.remove_suffix(1);
    for (const auto& [error, name] : error_names)
        if (name == text) return error;
    return Errno::EIO;
}

Result<std::optional<Message>> MessageReader::next() {
    xsd_sockmsg header;
    if (buffer_.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, buffer_.data(), sizeof header);
    if (header.len > XENSTORE_PAYLOAD_MAX) return fail(Errno::EINVAL);
    if (buffer_.size() < sizeof header + header.len) return std::nullopt;
    Message message{header.type, header.req_id, header.tx_id, buffer_.substr(sizeof header, header.len)};
    buffer_.erase(0, sizeof header + header.len);
    return message;
}

Result<std::vector<std::string_view>> split_strings(std::string_view payload) {
    std::vector<std::string_view> strings;
    while (!payload.empty()) {
        const auto end = payload.find('\0');
        if (end == payload.npos) return fail(Errno::EINVAL);
        strings.push_back(payload.substr(0, end));
        payload.remove_prefix(end + 1);
    }
    return strings;
}

} // namespace streak::store
