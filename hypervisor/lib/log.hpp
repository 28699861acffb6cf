// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>
#include <string_view>

#include "lib/types.hpp"

namespace streak {

enum class LogLevel : u8 { emergency, error, warning, info, debug };

/// One argument of a log line: a number or a string; strong ids count as their number.
struct LogArg {
    enum class Kind : u8 { unsigned_number, signed_number, string, character } kind;
    u64 number{};
    std::string_view text{};

    template <std::unsigned_integral T> LogArg(T v) : kind(Kind::unsigned_number), number(v) {}
    template <std::signed_integral T> LogArg(T v)
        : kind(Kind::signed_number), number(static_cast<u64>(static_cast<i64>(v))) {}
    LogArg(char c) : kind(Kind::character), number(static_cast<u8>(c)) {}
    LogArg(std::string_view s) : kind(Kind::string), text(s) {}
    LogArg(const char* s) : kind(Kind::string), text(s) {}
    template <class T>
        requires std::is_enum_v<T>
    LogArg(T v) : LogArg(static_cast<std::underlying_type_t<T>>(v)) {}
    template <class T>
        requires std::is_pointer_v<T>
    LogArg(T p) : kind(Kind::unsigned_number), number(reinterpret_cast<u64>(p)) {}
    template <class T>
        requires requires(const T& id) {
            typename T::rep;
            id.raw();
        }
    LogArg(const T& id) : LogArg(static_cast<typename T::rep>(id.raw())) {}
};

/// Writes one line "(STREAK) …" to the log ring and the console sinks. Placeholders: {} decimal
/// (or text), {:x} hexadecimal, {:#x} with 0x, {:016x} zero-padded. No trailing newline in `format`.
void log_line(LogLevel level, std::string_view format, const LogArg* args, unsigned count);

/// Text as it is (the control domain's console output) to the ring and the sinks.
void log_raw(std::string_view text);

/// A panic begins: whoever holds the log's lock may have been stopped, and is not waited for long.
void hurry_log();

/// Lines less urgent than `level` are dropped; info at first.
void set_log_level(LogLevel level);
/// Lines begin with a time from now on: the TSC in hexadecimal, or seconds of a clock that counts ns.
using LogClock = u64 (*)();
void stamp_log(LogClock clock, bool hexadecimal);

/// A place where the log appears. Called with the log's lock held and interrupts off; must not log.
struct LogSink {
    void (*write)(std::string_view text);
    LogSink* next = nullptr;
};
/// Adds a sink for good; it first gets what the ring holds.
void add_log_sink(LogSink& sink);

/// Reads the ring (XEN_SYSCTL_readconsole). With `incremental`, from character number `index` on, else from the
/// oldest one kept; `index` becomes the number after the last one copied. Numbers wrap at 32 bits.
[[nodiscard]] u32 read_log(std::span<char> to, u32& index, bool incremental);
/// Forgets what has been logged so far.
void clear_log();

template <class... Args> void log_at(LogLevel level, std::string_view format, const Args&... args) {
    if constexpr (sizeof...(Args) == 0) {
        log_line(level, format, nullptr, 0);
    } else {
        const LogArg list[] = {LogArg(args)...};
        log_line(level, format, list, sizeof...(Args));
    }
}

template <class... A> void log_emergency(std::string_view f, const A&... a) { log_at(LogLevel::emergency, f, a...); }
template <class... A> void log_error(std::string_view f, const A&... a) { log_at(LogLevel::error, f, a...); }
template <class... A> void log_warning(std::string_view f, const A&... a) { log_at(LogLevel::warning, f, a...); }
template <class... A> void log_info(std::string_view f, const A&... a) { log_at(LogLevel::info, f, a...); }
template <class... A> void log_debug(std::string_view f, const A&... a) { log_at(LogLevel::debug, f, a...); }

} // namespace streak
