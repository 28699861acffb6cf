// SPDX-License-Identifier: GPL-2.0-only
#include "config/packed.hpp"

#include <cstring>

#include "config/fields.hpp"

namespace streak::config {

namespace {

class Packer {
public:
    static constexpr bool reading = false;

    static void require(bool, std::string_view) {}
    void text(std::string_view, const std::string& value, std::size_t, Characters) {
        integer(static_cast<std::int64_t>(value.size()));
        out_ += value;
    }
    void number(std::string_view, auto value, auto, auto) { integer(static_cast<std::int64_t>(value)); }
    void flag(std::string_view, bool value) { out_ += value ? '\1' : '\0'; }
    void list(std::string_view, auto& items, std::size_t, auto&& write) {
        integer(static_cast<std::int64_t>(items.size()));
        for (auto& item : items) write(*this, item);
    }
    void object(std::string_view, auto&& write) { write(*this); }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    void integer(std::int64_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }

    std::string out_;
};

class Unpacker {
public:
    static constexpr bool reading = true;

    static void require(bool condition, std::string_view name) { fields::require(condition, name); }

    explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

    void text(std::string_view name, std::string& value, std::size_t longest, Characters characters) {
        value = take(name, size(name, longest));
        fields::require(is_utf8(value) && (characters == Characters::any || printable(value)), name);
    }
    template <class T> void number(std::string_view name, T& value, std::int64_t least, std::int64_t most) {
        const std::int64_t number = integer(name);
        fields::require(number >= least && number <= most, name);
        value = static_cast<T>(number);
    }
    void flag(std::string_view name, bool& value) {
        const char byte = take(name, 1).front();
        fields::require(byte == 0 || byte == 1, name);
        value = byte == 1;
    }
    void list(std::string_view name, auto& items, std::size_t most, auto&& read) {
        for (std::size_t left = size(name, most); left > 0; --left) read(*this, items.emplace_back());
    }
    void object(std::string_view, auto&& read) { read(*this); }
    void end() const { fields::require(rest_.empty(), "the end"); }

private:
    std::string_view take(std::string_view name, std::size_t bytes) {
        fields::require(bytes <= rest_.size(), name);
        const std::string_view taken = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return taken;
    }
    std::int64_t integer(std::string_view name) {
        std::int64_t value;
        std::memcpy(&value, take(name, sizeof value).data(), sizeof value);
        return value;
    }
    std::size_t size(std::string_view name, std::size_t most) {
        const std::int64_t value = integer(name);
        fields::require(value >= 0 && static_cast<std::uint64_t>(value) <= most, name);
        return static_cast<std::size_t>(value);
    }

    std::string_view rest_;
};

} // namespace

std::string pack(const Parsed& parsed) {
    Packer packer;
    fields::parsed(packer, const_cast<Parsed&>(parsed));
    return packer.take();
}

base::Outcome<Parsed> unpack(std::string_view bytes) {
    try {
        Unpacker unpacker(bytes);
        Parsed parsed;
        fields::parsed(unpacker, parsed);
        unpacker.end();
        return parsed;
    } catch (const Wrong& wrong) {
        return base::error(base::ErrorKind::internal, "the sandbox's answer is no definition: " + wrong.what);
    }
}

} // namespace streak::config
