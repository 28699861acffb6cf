// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.hpp"

#include "lib/spinlock.hpp"

namespace streak {

namespace {

constexpr u32 ring_bytes = 1u << 16;
constexpr u32 line_bytes = 512; ///< longer lines are cut

constinit SpinLock lock;
constinit LogLevel threshold = LogLevel::info;
constinit LogClock stamp_clock = nullptr;
constinit bool stamp_hexadecimal = false;
constinit LogSink* sinks = nullptr;
constinit std::array<char, ring_bytes> ring{};
constinit u32 produced = 0; ///< characters so far; the ring keeps the last ring_bytes of them
constinit u32 cleared = 0;  ///< characters before this one are forgotten

constinit std::atomic<u32> patience{1u << 24}; ///< tries to get the lock

/// Waits for the lock, but not for ever: an NMI or a panic may have interrupted its holder, and a garbled
/// line is better than none.
class LogGuard : NotCopyable {
public:
    LogGuard() {
        for (u32 tries = 0; tries < patience.load(std::memory_order_relaxed); ++tries) {
            if (lock.try_lock()) {
                held_ = true;
                return;
            }
            spin_wait();
        }
    }
    ~LogGuard() {
        if (held_) lock.unlock();
    }

private:
    bool held_ = false;
};

/// Collects a line; what doesn't fit is dropped, room for the newline is kept.
class Line {
public:
    void put(char c) {
        if (size_ < line_bytes - 1) text_[size_++] = c;
    }
    void put(std::string_view text) {
        for (const char c : text) put(c);
    }
    void end() { text_[size_++] = '\n'; }
    [[nodiscard]] std::string_view view() const { return {text_, size_}; }

private:
    u32 size_ = 0;
    char text_[line_bytes];
};

/// What stands between ':' and '}'.
struct Spec {
    bool hexadecimal = false, prefix = false, zeros = false;
    u32 width = 0;
};

Spec parse_spec(std::string_view text) {
    Spec spec;
    for (const char c : text) {
        if (c == 'x') spec.hexadecimal = true;
        else if (c == '#') spec.prefix = true;
        else if (c == '0' && spec.width == 0) spec.zeros = true;
        else if (c >= '0' && c <= '9') spec.width = spec.width * 10 + static_cast<u32>(c - '0');
    }
    return spec;
}

void put_number(Line& line, const LogArg& arg, const Spec& spec) {
    u64 value = arg.number;
    const bool negative = arg.kind == LogArg::Kind::signed_number && static_cast<i64>(value) < 0 && !spec.hexadecimal;
    if (negative) value = 0 - value;
    char digits[20];
    u32 count = 0;
    const u64 base = spec.hexadecimal ? 16 : 10;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    const std::string_view sign = negative ? "-" : spec.prefix && spec.hexadecimal ? "0x" : "";
    const u32 used = count + static_cast<u32>(sign.size());
    const u32 padding = spec.width > used ? spec.width - used : 0;
    for (u32 i = 0; i < padding && !spec.zeros; ++i) line.put(' ');
    line.put(sign);
    for (u32 i = 0; i < padding && spec.zeros; ++i) line.put('0');
    while (count != 0) line.put(digits[--count]);
}

void put_argument(Line& line, const LogArg& arg, const Spec& spec) {
    switch (arg.kind) {
    case LogArg::Kind::string: {
        line.put(arg.text);
        for (u64 i = arg.text.size(); i < spec.width; ++i) line.put(' ');
        break;
    }
    case LogArg::Kind::character: line.put(static_cast<char>(arg.number)); break;
    default: put_number(line, arg, spec);
    }
}

void put_formatted(Line& line, std::string_view format, const LogArg* args, unsigned count) {
    unsigned next = 0;
    for (std::size_t i = 0; i < format.size(); ++i) {
        const char c = format[i];
        const bool doubled = i + 1 < format.size() && format[i + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            line.put(c);
            ++i;
            continue;
        }
        const std::size_t close = c == '{' ? format.find('}', i) : std::string_view::npos;
        if (close == std::string_view::npos) {
            line.put(c);
            continue;
        }
        if (next < count) put_argument(line, args[next++], parse_spec(format.substr(i + 1, close - i - 1)));
        i = close;
    }
}

void put_stamp(Line& line, u64 now) {
    const LogArg seconds[] = {now / 1'000'000'000, now / 1000 % 1'000'000}, raw[] = {now};
    if (stamp_hexadecimal) put_formatted(line, "[{:016x}] ", raw, 1);
    else put_formatted(line, "[{:5}.{:06}] ", seconds, 2);
}

void emit(std::string_view text) {
    LogGuard guard;
    for (const char c : text) ring[produced++ % ring_bytes] = c;
    for (const LogSink* sink = sinks; sink; sink = sink->next) sink->write(text);
}

/// Number of the oldest character that is kept. The lock is held.
u32 oldest() {
    const u32 kept = produced - cleared;
    return kept > ring_bytes ? produced - ring_bytes : cleared;
}

} // namespace

void log_line(LogLevel level, std::string_view format, const LogArg* args, unsigned count) {
    if (level > threshold) return;
    Line line;
    line.put("(STREAK) ");
    if (stamp_clock) put_stamp(line, stamp_clock());
    put_formatted(line, format, args, count);
    line.end();
    emit(line.view());
}

void log_raw(std::string_view text) { emit(text); }
void hurry_log() { patience.store(1u << 12, std::memory_order_relaxed); }

void stamp_log(LogClock clock, bool hexadecimal) {
    stamp_clock = clock;
    stamp_hexadecimal = hexadecimal;
}
void set_log_level(LogLevel level) { threshold = level; }

void add_log_sink(LogSink& sink) {
    LogGuard guard;
    const u32 start = oldest() % ring_bytes, bytes = produced - oldest();
    const u32 first = bytes < ring_bytes - start ? bytes : ring_bytes - start;
    sink.write({ring.data() + start, first});
    sink.write({ring.data(), bytes - first});
    sink.next = sinks;
    sinks = &sink;
}

u32 read_log(std::span<char> to, u32& index, bool incremental) {
    LogGuard guard;
    // A number outside what is kept is one that has been overwritten.
    if (!incremental || index - oldest() > produced - oldest()) index = oldest();
    u32 copied = 0;
    while (copied < to.size() && index != produced) to[copied++] = ring[index++ % ring_bytes];
    return copied;
}

void clear_log() {
    LogGuard guard;
    cleared = produced;
}

} // namespace streak
