// SPDX-License-Identifier: GPL-2.0-only
#include "arch/uart.hpp"

#include "arch/cpu.hpp"
#include "arch/io.hpp"
#include "lib/log.hpp"
#include "lib/spinlock.hpp"

namespace streak::uart {

namespace {

// Registers of the 16550, offsets from its first port.
constexpr u16 data = 0, interrupt_enable = 1, fifo_control = 2, line_control = 3, modem_control = 4, line_status = 5,
              scratch = 7, divisor_low = 0, divisor_high = 1, interrupt_id = 2;
constexpr u8 received_data_interrupt = 1, divisor_access = 0x80, fifo_enable_and_clear = 7, dtr_rts_out2 = 0x0b,
             data_ready = 1, transmitter_empty = 0x20, transmitter_idle = 0x40;
constexpr u32 base_baud = 115200;
constexpr u32 ring_bytes = 8192;
constexpr u32 fifo_bytes = 16;

constinit u16 base = 0;
constinit u8 irq = 0;
constinit bool has_fifo = false;
constinit bool stuck = false; ///< the transmitter took nothing for long: output is lost until it does
constinit u32 room = 0;       ///< characters the transmitter takes for certain

constinit SpinLock receive_lock;
constinit std::array<u8, ring_bytes> ring{};
constinit u32 produced = 0, consumed = 0;

/// A transmitter that takes nothing for some seconds is not waited for again, only looked at.
void wait_until_empty() {
    for (u32 tries = stuck ? 1 : 1'000'000; tries != 0; --tries) {
        if (arch::in8(base + line_status) & transmitter_empty) {
            room = has_fifo ? fifo_bytes : 1;
            stuck = false;
            return;
        }
        arch::cpu_relax();
    }
    stuck = true;
}

void put(char c) {
    if (room == 0) wait_until_empty();
    if (room == 0) return;
    arch::out8(base + data, static_cast<u8>(c));
    --room;
}

void write(std::string_view text) {
    for (const char c : text) {
        if (c == '\n') put('\r');
        put(c);
    }
}

constinit LogSink sink{write};

[[nodiscard]] bool answers() {
    arch::out8(base + scratch, 0x5a);
    if (arch::in8(base + scratch) != 0x5a) return false;
    arch::out8(base + scratch, 0xa5);
    return arch::in8(base + scratch) == 0xa5;
}

u8 frame_format(const loader::SerialOptions& options) {
    u8 value = static_cast<u8>((options.data_bits - 5) & 3) | (options.stop_bits == 2 ? 4 : 0);
    switch (options.parity) {
    case 'o': return value | 0x08;
    case 'e': return value | 0x18;
    case 'm': return value | 0x28;
    case 's': return value | 0x38;
    default: return value;
    }
}

/// The receive lock is held.
void drain() {
    for (u32 n = 0; n < ring_bytes && (arch::in8(base + line_status) & data_ready); ++n) {
        const u8 c = arch::in8(base + data);
        if (produced - consumed < ring_bytes) // a full ring loses what is new
            ring[produced++ % ring_bytes] = c;
    }
}

} // namespace

void finish_output() {
    for (u32 tries = 0; base != 0 && !stuck && tries < 1'000'000; ++tries)
        if (arch::in8(base + line_status) & transmitter_idle) return;
}

bool init(const loader::SerialOptions& options, unsigned number) {
    constexpr u16 standard_base[] = {0x3f8, 0x2f8};
    constexpr u8 standard_irq[] = {4, 3};
    const unsigned index = number == 2 ? 1 : 0;
    base = options.io_base != 0 ? options.io_base : standard_base[index];
    if (!answers()) {
        base = 0;
        return false;
    }
    irq = options.irq != 0 || options.io_base != 0 ? options.irq : standard_irq[index];
    const u8 format = frame_format(options);
    arch::out8(base + interrupt_enable, 0);
    if (options.baud != 0) {
        const u32 divisor = options.baud < base_baud ? base_baud / options.baud : 1;
        arch::out8(base + line_control, divisor_access);
        arch::out8(base + divisor_low, static_cast<u8>(divisor));
        arch::out8(base + divisor_high, static_cast<u8>(divisor >> 8));
    }
    arch::out8(base + line_control, format);
    arch::out8(base + fifo_control, fifo_enable_and_clear);
    arch::out8(base + modem_control, dtr_rts_out2);
    has_fifo = (arch::in8(base + interrupt_id) & 0xc0) == 0xc0;
    add_log_sink(sink);
    return true;
}

bool present() { return base != 0; }
u16 io_base() { return base; }
u8 isa_irq() { return irq; }

void enable_receive_interrupt() {
    if (!present()) return;
    // The FIFO asks from its first character on: somebody types.
    arch::out8(base + interrupt_enable, received_data_interrupt);
}

bool handle_interrupt() {
    if (!present()) return false;
    LockGuard guard(receive_lock);
    (void)arch::in8(base + interrupt_id);
    drain();
    return produced != consumed;
}

std::optional<u8> receive() {
    if (!present()) return {};
    LockGuard guard(receive_lock);
    drain();
    if (produced == consumed) return {};
    return ring[consumed++ % ring_bytes];
}

void ensure_output() {
    if (!present()) (void)init({}, 1);
}

} // namespace streak::uart
