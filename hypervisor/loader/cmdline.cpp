// SPDX-License-Identifier: GPL-2.0-only
#include "loader/cmdline.hpp"

namespace streak::loader {

namespace {

constexpr std::string_view blanks = " \t\r\n";

/// Cuts the part before the first of `separators` off the front of `text`.
std::string_view cut(std::string_view& text, std::string_view separators) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    const auto part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

/// `text` without its first `count` characters. (substr() would drag in an exception.)
std::string_view after(std::string_view text, std::size_t count) {
    text.remove_prefix(std::min(count, text.size()));
    return text;
}

/// The next word; blanks inside double quotes belong to it.
std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    bool quoted = false;
    std::size_t end = 0;
    for (; end < line.size(); ++end) {
        if (line[end] == '"') quoted = !quoted;
        else if (!quoted && blanks.find(line[end]) != blanks.npos) break;
    }
    const auto word = line.substr(0, end);
    line.remove_prefix(end);
    return word;
}

std::string_view unquoted(std::string_view value) {
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value.remove_prefix(1);
        value.remove_suffix(1);
    }
    return value;
}

std::optional<bool> parse_bool(std::string_view text) {
    for (const auto yes : {"", "1", "yes", "on", "true", "enable"})
        if (text == yes) return true;
    for (const auto no : {"0", "no", "off", "false", "disable"})
        if (text == no) return false;
    return std::nullopt;
}

template <class Integer> bool set_number(std::string_view text, Integer& to) {
    const auto value = parse_number(text);
    if (!value || *value > static_cast<Integer>(~Integer{0})) return false;
    to = static_cast<Integer>(*value);
    return true;
}

bool set_choice(std::string_view text, std::string_view& to, std::initializer_list<std::string_view> choices) {
    const bool known = std::ranges::find(choices, text) != choices.end();
    if (known) to = text;
    return known;
}

bool set_bool(std::string_view text, bool& to) {
    const auto value = parse_bool(text);
    to = value.value_or(to);
    return value.has_value();
}

bool set_switch(std::string_view text, Switch& to) {
    if (text == "default") {
        to = Switch::by_default;
        return true;
    }
    const auto value = parse_bool(text);
    if (value) to = *value ? Switch::on : Switch::off;
    return value.has_value();
}

/// `info`, or `warning/info`, where only the first half counts: nothing here is rate limited.
bool set_level(std::string_view text, LogLevel& to) {
    constexpr std::pair<std::string_view, LogLevel> names[] = {
        {"none", LogLevel::none}, {"error", LogLevel::error}, {"warning", LogLevel::warning},
        {"info", LogLevel::info}, {"debug", LogLevel::debug}, {"all", LogLevel::all}};
    const auto name = cut(text, "/");
    for (const auto& [known, level] : names)
        if (name == known) {
            to = level;
            return true;
        }
    return false;
}

bool set_console(std::string_view list, Options& options) {
    options.console_serial = options.console_vga = options.console_com2 = false;
    bool good = true;
    while (!list.empty()) {
        const auto name = cut(list, ",");
        if (name == "com1" || name == "com1H" || name == "com1L") options.console_serial = true;
        else if (name == "com2" || name == "com2H" || name == "com2L") options.console_com2 = true;
        else if (name == "vga") options.console_vga = true;
        else if (name != "none" && !name.empty()) good = false;
    }
    return good;
}

/// `8n1`
bool set_frame(std::string_view text, SerialOptions& serial) {
    constexpr std::string_view parities = "noems";
    if (text.size() != 3 || text[0] < '5' || text[0] > '8' || parities.find(text[1]) == parities.npos ||
        (text[2] != '1' && text[2] != '2'))
        return false;
    serial.data_bits = static_cast<std::uint8_t>(text[0] - '0');
    serial.parity = text[1];
    serial.stop_bits = static_cast<std::uint8_t>(text[2] - '0');
    return true;
}

bool set_serial(std::string_view text, SerialOptions& serial) {
    serial.given = true;
    auto speed = cut(text, ",");
    speed = cut(speed, "/"); // baud/clock: the clock of a PC's UART is fixed
    if (speed == "auto") serial.baud = 0;
    else if (!speed.empty() && (!set_number(speed, serial.baud) || serial.baud == 0 || serial.baud > 115200))
        return false;
    if (const auto frame = cut(text, ","); !frame.empty() && !set_frame(frame, serial)) return false;
    if (const auto base = cut(text, ","); !base.empty() && !set_number(base, serial.io_base)) return false;
    const auto irq = cut(text, ",");
    return irq.empty() || set_number(irq, serial.irq);
}

bool set_amount(std::string_view text, MemoryAmount& amount) {
    const bool less = text.starts_with('-');
    if (less) text.remove_prefix(1);
    const auto bytes = parse_size(text);
    if (bytes) amount = {true, less, *bytes};
    return bytes.has_value();
}

bool set_dom0_memory(std::string_view list, Dom0Memory& memory) {
    bool good = !list.empty();
    while (!list.empty()) {
        auto part = cut(list, ",");
        auto* target = &memory.amount;
        for (const auto& [prefix, bound] : {std::pair{"min:", &memory.minimum}, std::pair{"max:", &memory.maximum}})
            if (part.starts_with(prefix)) {
                part.remove_prefix(4);
                target = bound;
            }
        good = set_amount(part, *target) && good;
    }
    return good;
}

/// `4`, `1-4` or `-4`
bool set_vcpus(std::string_view text, Options& options) {
    const auto dash = text.find('-');
    if (dash == text.npos) return set_number(text, options.dom0_max_vcpus) && options.dom0_max_vcpus != 0;
    const auto low = text.substr(0, dash), high = after(text, dash + 1);
    return (low.empty() || set_number(low, options.dom0_min_vcpus)) &&
           (high.empty() || set_number(high, options.dom0_max_vcpus));
}

/// `default`, `no`, `dom0=no,domu=yes`
bool set_xpti(std::string_view list, Options& options) {
    Speculation& s = options.speculation;
    bool good = true;
    do {
        auto value = cut(list, ",");
        const bool dom0 = value.starts_with("dom0="), domu = value.starts_with("domu=");
        if (dom0 || domu) value.remove_prefix(5);
        if (!domu) good = set_switch(value, s.xpti_dom0) && good;
        if (!dom0) good = set_switch(value, s.xpti_domu) && good;
    } while (!list.empty());
    return good;
}

/// `xpti` and `yes` are the same here, as are `no-xpti` and `no`: without XPTI there is no use for it.
bool set_pcid(std::string_view value, Options& options) {
    const bool negative = value.starts_with("no-");
    if (negative) value.remove_prefix(3);
    if (value.starts_with("xpti")) value.remove_prefix(value.starts_with("xpti=") ? 5 : 4);
    return set_switch(negative ? "no" : value, options.speculation.pcid);
}

bool set_thunk(std::string_view value, Thunk& thunk) {
    if (value != "retpoline" && value != "lfence" && value != "jmp") return false;
    thunk = value == "jmp" ? Thunk::jump : value == "lfence" ? Thunk::lfence : Thunk::retpoline;
    return true;
}

/// A part of spec-ctrl=; what isn't known is collected like an unknown option.
bool set_measure(std::string_view part, Options& options) {
    Speculation& s = options.speculation;
    auto value = part;
    const auto name = cut(value, "=");
    if (name == "ibpb") return set_switch(value, s.ibpb);
    if (name == "md-clear") return set_switch(value, s.md_clear);
    if (name == "bti-thunk") return set_thunk(value, s.thunk);
    const auto all = parse_bool(name);
    if (!all) options.unknown.push(part);
    else if (*all) s.ibpb = s.md_clear = Switch::by_default, s.thunk = Thunk::by_default;
    else {
        s.ibpb = s.md_clear = Switch::off, s.thunk = Thunk::jump;
        for (Switch* xpti : {&s.xpti_dom0, &s.xpti_domu})
            if (*xpti == Switch::by_default) *xpti = Switch::off;
    }
    return true;
}

bool set_speculation(std::string_view list, Options& options) {
    bool good = true;
    do good = set_measure(cut(list, ","), options) && good;
    while (!list.empty());
    return good;
}

struct Option {
    std::string_view name;
    bool (*set)(std::string_view value, Options& options); ///< false: the value can't be read
};

using Text = std::string_view;
constexpr Option known_options[] = {
    {"console", set_console},
    {"com1", [](Text value, Options& o) { return set_serial(value, o.com1); }},
    {"com2", [](Text value, Options& o) { return set_serial(value, o.com2); }},
    {"dom0_mem", [](Text value, Options& o) { return set_dom0_memory(value, o.dom0_memory); }},
    {"dom0_max_vcpus", set_vcpus},
    {"dom0_vcpus_pin", [](Text value, Options& o) { return set_bool(value, o.dom0_vcpus_pin); }},
    {"maxcpus", [](Text value, Options& o) { return set_number(value, o.max_cpus); }},
    {"loglvl", [](Text value, Options& o) { return set_level(value, o.log); }},
    {"console_timestamps",
     [](Text value, Options& o) { return set_choice(value, o.timestamps, {"none", "boot", "raw"}); }},
    {"nmi", [](Text value, Options& o) { return set_choice(value, o.nmi, {"ignore", "dom0", "fatal"}); }},
    {"noreboot", [](Text value, Options& o) { return set_bool(value, o.no_reboot); }},
    {"x2apic", [](Text value, Options& o) { return set_bool(value, o.x2apic); }},
    {"xpti", set_xpti},
    {"pcid", set_pcid},
    {"spec-ctrl", set_speculation},
    {"smap", [](Text value, Options& o) { return set_switch(value, o.smap); }},
    {"smep", [](Text value, Options& o) { return set_switch(value, o.smep); }}};

// Accepted so that an existing boot entry doesn't complain; there is nothing to set. (Debian's GRUB scripts put
// `placeholder` in front.)
constexpr Text ignored[] = {
#ifdef HV_DEBUG
    "check-invariants", // tests/invariants reads it
#endif
    "cpufreq",          "cpuidle",      "iommu",       "sched",       "ucode",
    "crashkernel",      "placeholder",  "watchdog",    "no-watchdog", "watchdog_timeout",
    "guest_loglvl",     "sync_console", "no-real-mode"};

const Option* find_option(std::string_view name) {
    for (const auto& option : known_options)
        if (option.name == name) return &option;
    return nullptr;
}

void take_word(std::string_view word, Options& options) {
    const auto equals = std::min(word.find('='), word.size());
    auto name = word.substr(0, equals);
    auto value = unquoted(after(word, equals + 1));
    if (std::ranges::find(ignored, name) != std::end(ignored)) return;
    const auto* option = find_option(name);
    if (option == nullptr && equals == word.size() && name.starts_with("no-")) { // no-xpti
        option = find_option(after(name, 3));
        value = "off";
    }
    if (option == nullptr) options.unknown.push(word);
    else if (!option->set(value, options)) options.invalid.push(word);
}

} // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    if (text.empty()) return std::nullopt;
    std::uint64_t sum = 0;
    for (const char c : text) {
        const std::uint64_t digit = c >= '0' && c <= '9'   ? static_cast<std::uint64_t>(c - '0')
                                    : c >= 'a' && c <= 'f' ? static_cast<std::uint64_t>(c - 'a' + 10)
                                    : c >= 'A' && c <= 'F' ? static_cast<std::uint64_t>(c - 'A' + 10)
                                                           : base;
        if (digit >= base || sum > (~0ull - digit) / base) return std::nullopt;
        sum = sum * base + digit;
    }
    return sum;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    unsigned shift = 10;
    if (!text.empty()) {
        constexpr std::string_view suffixes = "bkmgtBKMGT";
        const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
        const char last = text.back();
        const auto suffix = hexadecimal && (last == 'b' || last == 'B') ? suffixes.npos : suffixes.find(last);
        if (suffix != suffixes.npos) {
            shift = static_cast<unsigned>(suffix % 5 * 10);
            text.remove_suffix(1);
        }
    }
    const auto number = parse_number(text);
    if (!number || *number > (~0ull >> shift)) return std::nullopt;
    return *number << shift;
}

std::uint64_t Dom0Memory::resolve(std::uint64_t available) const {
    const auto value = [&](const MemoryAmount& amount) {
        if (!amount.less_than_all) return amount.bytes;
        return amount.bytes < available ? available - amount.bytes : 0;
    };
    constexpr std::uint64_t most_kept_back = 128ull << 20;
    std::uint64_t bytes = amount.given ? value(amount) : available - std::min(available / 16, most_kept_back);
    if (maximum.given) bytes = std::min(bytes, value(maximum));
    if (minimum.given) bytes = std::max(bytes, value(minimum));
    return std::min(bytes, available);
}

Options parse_command_line(std::string_view line) {
    Options options;
    for (auto word = next_word(line); !word.empty(); word = next_word(line)) take_word(word, options);
    return options;
}

} // namespace streak::loader
