// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/text.hpp"
#include "store/service.hpp"

namespace streak::store {

/// A whole string as a number. EINVAL.
template <class Number> [[nodiscard]] Result<Number> number(std::string_view text) {
    const auto n = base::parse_number<Number>(text);
    return n ? Result<Number>(*n) : fail(Errno::EINVAL);
}

/// A request on its way through its handler.
struct Service::Request {
    struct Type {
        std::string_view name; ///< in reports; empty: no request
        Reply (Handlers::*handle)() = nullptr;
    };
    static const std::array<Type, XS_TYPE_COUNT> types;

    Service& service;
    Session& session;
    const Message& message;
    Transaction* transaction = nullptr;
    std::vector<std::string_view> strings{}; ///< of the payload, for the types whose payload is strings
    std::vector<Change> changes{};           ///< that were committed
    std::string path{};                      ///< absolute form of the first string

    [[nodiscard]] const Caller& caller() const { return session.caller; }
    [[nodiscard]] Result<> parse_strings(std::size_t count) {
        TRY_ASSIGN(parts, split_strings(message.payload));
        strings = parts;
        return strings.size() == count ? Result<>{} : fail(Errno::EINVAL);
    }
    /// The payload is `count` strings, and the first one a path.
    [[nodiscard]] Result<> parse_path(std::size_t count) {
        TRY(parse_strings(count));
        TRY_ASSIGN(absolute, absolute_path(strings.front(), caller().id));
        path = absolute;
        return {};
    }
    /// The payload is `count` strings, and the first one a domain; only the control domain may say so.
    [[nodiscard]] Result<DomId> parse_domain(std::size_t count) {
        TRY(parse_strings(count));
        if (!caller().privileged) return fail(Errno::EACCES);
        return any_domain();
    }
    [[nodiscard]] Result<DomId> any_domain() const {
        TRY_ASSIGN(id, number<std::uint16_t>(strings.front()));
        return id < first_reserved_id.raw() ? Result<DomId>(DomId(id)) : fail(Errno::EINVAL);
    }
    /// Makes all changes or none.
    [[nodiscard]] Reply apply(const std::vector<Operation>& operations);
    /// XS_CONTROL: for tools of the control domain (control.cpp).
    [[nodiscard]] Reply control();
};

} // namespace streak::store
