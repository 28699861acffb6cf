// SPDX-License-Identifier: GPL-2.0-only
#include "base/error.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace streak::base {

namespace {

/// What an error code of the hypervisor says to a person, where the C library's text would mislead.
const char* hypervisor_text(Errno code) {
    switch (code) {
    case Errno::ESRCH: return "no such domain";
    case Errno::EPERM: return "only a control domain may do this";
    case Errno::EACCES: return "refused by the security policy";
    case Errno::ENOMEM: return "not enough memory in the hypervisor";
    case Errno::ENOSYS: return "the hypervisor doesn't have this operation";
    case Errno::EOPNOTSUPP: return "the hypervisor doesn't support this";
    case Errno::EBUSY: return "in use, or not in a state that allows it";
    default: return nullptr;
    }
}

std::string code_name(int code) {
    const char* name = ::strerrorname_np(code);
    return name != nullptr ? name : "error " + std::to_string(code);
}

std::string code_text(int code) {
    const char* known = ::strerrordesc_np(code);
    if (known == nullptr) return "unknown error";
    std::string text = known;
    // "Invalid argument" stands within a sentence; "RPC struct is bad" keeps its capitals.
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])))
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

struct Codes {
    ErrorKind kind;
    std::initializer_list<Errno> codes;
};
using enum Errno;
constexpr Codes known_codes[] = {
    {ErrorKind::not_found, {ESRCH, ENOENT}},
    {ErrorKind::refused, {EPERM, EACCES, EROFS}},
    {ErrorKind::resources, {ENOMEM, ENOSPC, ENOBUFS, EMFILE, ENFILE}},
    {ErrorKind::conflict, {EBUSY, EEXIST, EADDRINUSE, ENOTEMPTY}},
    {ErrorKind::unavailable, {ENOSYS, EOPNOTSUPP, ENODEV, ENXIO, ENOTCONN, ECONNREFUSED}},
    {ErrorKind::timeout, {ETIME, ETIMEDOUT}},
    {ErrorKind::invalid, {EINVAL, E2BIG, ENOEXEC, ENOTDIR, EISDIR, EDOM, ERANGE, EOVERFLOW, ENAMETOOLONG}},
};

/// Any other is our own fault.
ErrorKind kind_of(Errno code) {
    for (const Codes& known : known_codes)
        if (std::ranges::find(known.codes, code) != known.codes.end()) return known.kind;
    return ErrorKind::internal;
}

} // namespace

std::string name_of(Errno code) { return code_name(static_cast<int>(code)); }

std::string describe(Errno code) {
    const char* text = hypervisor_text(code);
    return (text != nullptr ? text : code_text(static_cast<int>(code))) + " (" + name_of(code) + ")";
}

std::string system_error(int code) { return code_text(code) + " (" + code_name(code) + ")"; }

std::unexpected<Error> hypercall_error(std::string what, Errno code) {
    return error(kind_of(code), std::move(what), {}, describe(code));
}

std::unexpected<Error> errno_error(std::string what, int code) {
    return error(kind_of(static_cast<Errno>(code)), std::move(what), {}, system_error(code));
}

} // namespace streak::base
