// SPDX-License-Identifier: GPL-2.0-only
#include "manager/json.hpp"

#include <nlohmann/json.hpp>

namespace streak::manager {

std::string quoted(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    for (char c : text)
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return out.append(1, '"').append(text).append(1, '"');
}

Object& Object::raw(std::string_view key, std::string_view json) {
    text_.append(1, text_.empty() ? '{' : ',').append(1, '"').append(key).append("\":").append(json);
    return *this;
}

std::string array_of(const std::vector<std::string>& items) {
    std::string text = "[";
    for (const std::string& item : items) text.append(text.size() > 1 ? "," : "").append(item);
    return text + "]";
}

} // namespace streak::manager
