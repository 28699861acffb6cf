// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include "config/fields.hpp"

namespace streak::config {

namespace {

using Json = nlohmann::json;

class JsonWriter {
public:
    static constexpr bool reading = false;

    static void require(bool, std::string_view) {}
    void text(std::string_view name, const std::string& value, std::size_t, Characters) { put(name, value); }
    void number(std::string_view name, auto value, auto, auto) { put(name, value); }
    void flag(std::string_view name, bool value) { put(name, value); }
    void list(std::string_view name, auto& items, std::size_t, auto&& write) {
        Json all = Json::array();
        for (auto& item : items) {
            JsonWriter inner;
            write(inner, item);
            all.push_back(std::move(inner.json_));
        }
        put(name, std::move(all));
    }
    void object(std::string_view name, auto&& write) {
        JsonWriter inner;
        write(inner);
        put(name, std::move(inner.json_));
    }
    [[nodiscard]] std::string text() const { return json_.dump(-1, ' ', false, Json::error_handler_t::replace); }

private:
    void put(std::string_view name, Json value) { json_.emplace(name, std::move(value)); }

    Json json_ = Json::object();
};

class JsonReader {
public:
    static constexpr bool reading = true;

    static void require(bool condition, std::string_view name) { fields::require(condition, name); }

    explicit JsonReader(const Json& json) : json_(json) { fields::require(json.is_object(), "an object"); }

    void text(std::string_view name, std::string& value, std::size_t longest, Characters characters) const {
        const Json& json = at(name);
        fields::require(json.is_string() && json.get_ref<const std::string&>().size() <= longest, name);
        value = json.get_ref<const std::string&>();
        fields::require(characters == Characters::any || printable(value), name);
    }
    template <class T> void number(std::string_view name, T& value, std::int64_t least, std::int64_t most) const {
        const Json& json = at(name);
        fields::require(json.is_number_integer(), name);
        fields::require(!json.is_number_unsigned() || json.get<std::uint64_t>() <= INT64_MAX, name);
        const auto number = json.get<std::int64_t>();
        fields::require(number >= least && number <= most, name);
        value = static_cast<T>(number);
    }
    void flag(std::string_view name, bool& value) const {
        fields::require(at(name).is_boolean(), name);
        value = at(name).get<bool>();
    }
    void list(std::string_view name, auto& items, std::size_t most, auto&& read) const {
        fields::require(at(name).is_array() && at(name).size() <= most, name);
        for (const Json& json : at(name)) {
            JsonReader inner(json);
            read(inner, items.emplace_back());
        }
    }
    void object(std::string_view name, auto&& read) const {
        JsonReader inner(at(name));
        read(inner);
    }

private:
    const Json& at(std::string_view name) const {
        const auto found = json_.find(name);
        if (found == json_.end()) throw Wrong{cat(name, " is missing")};
        return *found;
    }

    const Json& json_;
};

} // namespace

std::string to_json(const Parsed& parsed) {
    JsonWriter writer;
    fields::parsed(writer, const_cast<Parsed&>(parsed));
    return writer.text();
}

base::Outcome<Parsed> from_json(std::string_view text) {
    try {
        const Json json = Json::parse(text, nullptr, false);
        if (json.is_discarded()) throw Wrong{"it is no JSON"};
        JsonReader reader(json);
        Parsed parsed;
        fields::parsed(reader, parsed);
        return parsed;
    } catch (const Wrong& wrong) {
        return base::error(base::ErrorKind::internal, "this is no domain definition as JSON: " + wrong.what);
    }
}

} // namespace streak::config
