// SPDX-License-Identifier: GPL-2.0-only
#include "console/console.hpp"

#include "arch/uart.hpp"
#include "console/input_ring.hpp"
#include "domain/domain.hpp"
#include "lib/log.hpp"

namespace streak::console {

namespace {

constinit SpinLock input_lock;
constinit InputRing input;
constinit FocusSwitch focus_switch;

/// A character for whoever has the focus.
void deliver(char c) {
    if (focus_switch.focus() == Focus::debug_keys) {
        if (!debug_key(c)) log_info("no debug key '{}'; h prints the keys", c);
        return;
    }
    bool stored = false;
    {
        LockGuard guard(input_lock);
        stored = input.push(c);
    }
    if (stored) send_global_virq(VIRQ_CONSOLE);
}

} // namespace

void write(std::string_view text) { log_raw(text); }

u32 read(std::span<char> to) {
    LockGuard guard(input_lock);
    u32 n = 0;
    while (n < to.size() && input.pop(to[n])) ++n;
    return n;
}

void receive(char c) {
    const FocusSwitch::Step step = focus_switch.feed(c);
    if (step.switched)
        log_info("input goes to {} now (three times Ctrl-A switches)",
                 focus_switch.focus() == Focus::control_domain ? "the control domain" : "Streak; h prints the keys");
    if (step.switched || step.held) return;
    for (unsigned i = 0; i < step.overdue; ++i) deliver(FocusSwitch::switch_key);
    deliver(c);
}

void serve_input() {
    while (const auto c = uart::receive()) receive(static_cast<char>(*c));
}

} // namespace streak::console
