// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bounded.hpp"
#include "loader/bytes.hpp"

namespace streak::loader {

/// How much is printed; each level contains those before it.
enum class LogLevel : std::uint8_t { none, error, warning, info, debug, all };

enum class Switch : std::uint8_t { off, on, by_default };

/// A serial line, `com1=115200,8n1,0x3f8,4`: everything after the speed may be left out.
struct SerialOptions {
    bool given = false;
    std::uint32_t baud = 115200; ///< 0: `auto`, as the firmware left it
    std::uint8_t data_bits = 8;
    char parity = 'n'; ///< n o e m s
    std::uint8_t stop_bits = 1;
    std::uint16_t io_base = 0; ///< 0: the standard one
    std::uint8_t irq = 0;      ///< 0: polled
};

/// An amount of memory, `512M`, or of all memory less it, `-256M`.
struct MemoryAmount {
    bool given = false;
    bool less_than_all = false;
    std::uint64_t bytes = 0;
};

/// dom0_mem=512M,min:256M,max:1G
struct Dom0Memory {
    MemoryAmount amount, minimum, maximum;

    /// Bytes for dom0 out of `available`: the amount (or all less a sixteenth, 128 MiB at most), kept
    /// between the bounds and below what there is.
    [[nodiscard]] std::uint64_t resolve(std::uint64_t available) const;
};

/// How indirect calls are made.
enum class Thunk : std::uint8_t { by_default, retpoline, lfence, jump };

/// xpti=, pcid=, spec-ctrl=
struct Speculation {
    Switch xpti_dom0 = Switch::by_default, xpti_domu = Switch::by_default;
    Switch pcid = Switch::by_default;
    Switch ibpb = Switch::by_default, md_clear = Switch::by_default;
    Thunk thunk = Thunk::by_default;
};

/// Options of the hypervisor's command line. Names are the incumbent's, so that a boot entry can be
/// kept; what isn't known is collected, never fatal.
struct Options {
    bool console_serial = true; ///< com1 appears in console=
    bool console_vga = true;    ///< vga appears in console=
    SerialOptions com1, com2;
    bool console_com2 = false;

    Dom0Memory dom0_memory;
    std::uint32_t dom0_max_vcpus = 0; ///< 0: one per CPU
    std::uint32_t dom0_min_vcpus = 0;
    bool dom0_vcpus_pin = false;
    std::uint32_t max_cpus = 0; ///< 0: all

    LogLevel log = LogLevel::info;
    std::string_view timestamps = "none"; ///< none, boot, raw
    std::string_view nmi = "dom0";        ///< ignore, dom0, fatal
    bool no_reboot = false;               ///< halt after a crash
    bool x2apic = false;                  ///< even where no APIC id needs it

    Speculation speculation;
    Switch smap = Switch::by_default;
    Switch smep = Switch::by_default;

    Bounded<std::string_view, 16> unknown; ///< words as written
    Bounded<std::string_view, 16> invalid; ///< known names with values that can't be read
};

/// Parses a command line: words separated by blanks, values may stand in double quotes. The result
/// has views into `line`.
[[nodiscard]] Options parse_command_line(std::string_view line);

/// `512M`, `1G`, `64k`, `4096` (KiB without a suffix, as the incumbent has it), `0x…`; B, K, M, G, T
/// in either case. Nothing when it isn't a size or doesn't fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// Decimal or 0x… number; nothing when something else is in it.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

} // namespace streak::loader
