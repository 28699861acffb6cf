// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace streak::debug {

/// Numbers above 9 in hexadecimal.
[[nodiscard]] std::string number_text(std::uint64_t number);
/// "event_channel_op", or "hypercall 63" for one that doesn't exist.
[[nodiscard]] std::string call_name(std::uint32_t number);
/// "event_channel_op(send, 0x7ffe)": names for operations that the first argument tells.
[[nodiscard]] std::string call_text(std::uint32_t number, std::span<const std::uint64_t> arguments);
/// "#PF" and the like, or "vector 77".
[[nodiscard]] std::string trap_name(std::uint32_t vector);
/// "0", "-22 (EINVAL)", "0x1f400000", or "goes on" for a preempted call.
[[nodiscard]] std::string result_text(std::uint64_t result);

} // namespace streak::debug
