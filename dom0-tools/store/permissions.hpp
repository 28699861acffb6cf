// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/errno.hpp"
#include "lib/ids.hpp"

namespace streak::store {

/// Who asks.
struct Caller {
    DomId id{};
    bool privileged = false; ///< the control domain
    DomId target{0x7ff4};    ///< a domain it serves, with that one's rights (SET_TARGET); DOMID_INVALID: none
};

/// Rights on a node: the first entry names the owner, who may do anything, and what everybody else may do; the others
/// name domains with rights of their own.
class Permissions {
public:
    enum class Right : char { none = 'n', read = 'r', write = 'w', both = 'b' };
    struct Entry {
        DomId domain{};
        Right right = Right::none;
        bool operator==(const Entry&) const = default;
    };

    explicit Permissions(DomId owner, Right others = Right::none) : entries_{{owner, others}} {}

    /// From strings such as `n0` and `r3`. EINVAL.
    [[nodiscard]] static Result<Permissions> parse(const std::vector<std::string_view>& words);
    /// From words with spaces between them. EINVAL.
    [[nodiscard]] static Result<Permissions> parse_text(std::string_view text);
    /// The words again, each ending in NUL.
    [[nodiscard]] std::string to_wire() const;

    [[nodiscard]] DomId owner() const { return entries_.front().domain; }
    void set_owner(DomId owner) { entries_.front().domain = owner; }
    [[nodiscard]] bool may_read(const Caller& who) const { return may(who, Right::read); }
    [[nodiscard]] bool may_write(const Caller& who) const { return may(who, Right::write); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    /// Without the rights of a domain that is gone; the owner stays.
    void forget(DomId domain);

    bool operator==(const Permissions&) const = default;

private:
    Permissions() = default;
    [[nodiscard]] bool may(const Caller& who, Right wanted) const;

    std::vector<Entry> entries_;
};

} // namespace streak::store
