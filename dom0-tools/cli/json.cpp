// SPDX-License-Identifier: GPL-2.0-only
#include "cli/json.hpp"

namespace streak::cli {
namespace {

const Json* member_of(const Json& object, std::string_view member) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(member);
    return found == object.end() ? nullptr : &*found;
}

} // namespace

Json parse_json(std::string_view text) { return Json::parse(text, nullptr, false); }

std::string text_of(const Json& object, std::string_view member) {
    const auto* value = member_of(object, member);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string{};
}

std::uint64_t number_of(const Json& object, std::string_view member) {
    const auto* value = member_of(object, member);
    return value != nullptr && value->is_number() ? value->get<std::uint64_t>() : 0;
}

bool flag_of(const Json& object, std::string_view member) {
    const auto* value = member_of(object, member);
    return value != nullptr && value->is_boolean() && value->get<bool>();
}

const Json& list_of(const Json& object, std::string_view member) {
    static const Json none = Json::array();
    const auto* value = member_of(object, member);
    return value != nullptr && value->is_array() ? *value : none;
}

const Json& object_of(const Json& object, std::string_view member) {
    static const Json none = Json::object();
    const auto* value = member_of(object, member);
    return value != nullptr && value->is_object() ? *value : none;
}

std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

} // namespace streak::cli
