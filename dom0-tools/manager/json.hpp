// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace streak::manager {

/// `text` in quotes, as JSON wants it; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string quoted(std::string_view text);

/// One JSON object, written member by member (answers list hundreds of domains: no tree is built for them).
class Object {
public:
    Object& add(std::string_view key, std::string_view value) { return raw(key, quoted(value)); }
    Object& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
    Object& add(std::string_view key, const std::string& value) { return add(key, std::string_view(value)); }
    Object& add(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
    Object& add(std::string_view key, std::integral auto value) { return raw(key, std::to_string(value)); }
    /// A value that is JSON already.
    Object& raw(std::string_view key, std::string_view json);
    /// The object's text; nothing may be added afterwards.
    [[nodiscard]] std::string text() && { return std::move(text_) + (text_.empty() ? "{}" : "}"); }

private:
    std::string text_;
};

/// `["a","b"]` of values that are JSON already.
[[nodiscard]] std::string array_of(const std::vector<std::string>& items);

/// A list of objects: `describe(object, item)` adds the members of each.
template <class Items, class F> [[nodiscard]] std::string list_of(const Items& items, F&& describe) {
    std::vector<std::string> texts;
    for (const auto& item : items) {
        Object object;
        describe(object, item);
        texts.push_back(std::move(object).text());
    }
    return array_of(texts);
}

/// An answer: `schema` comes first.
[[nodiscard]] inline Object answer(std::string_view schema) { return std::move(Object().add("schema", schema)); }

} // namespace streak::manager
