// SPDX-License-Identifier: GPL-2.0-only
#include "debug/domain_id.hpp"

#include "base/text.hpp"
#include "cli/text.hpp"

namespace streak::cli {

Outcome<DomId> domain_id(Context& context, const std::string& reference) {
    const auto number = base::parse_number<std::uint16_t>(reference);
    if (number && *number < first_reserved_id.raw()) return DomId(*number);
    TRY_ASSIGN(path, domain_path(reference));
    TRY_ASSIGN(answer, context.get(path));
    const auto id = answer.find("id");
    if (id == answer.end() || !id->is_number_unsigned())
        return base::error(base::ErrorKind::conflict, printable(reference) + " is not running", "a running domain");
    return DomId(static_cast<std::uint16_t>(number_of(answer, "id")));
}

} // namespace streak::cli
