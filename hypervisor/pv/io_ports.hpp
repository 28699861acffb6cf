// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "pv/privop_decode.hpp"

// Ports. Two questions are asked of every access: may this mode of the guest use the port at all (virtual
// IOPL and the I/O bitmap, as on hardware), and may the domain reach the device behind it (Domain::io_ports)?
// What the domain may not reach reads as all ones and swallows writes.

namespace streak::pv {

/// May the guest's present mode use these ports?
[[nodiscard]] bool port_permitted(Vcpu& v, u16 port, unsigned bytes);

/// May the guest's present mode execute CLI and STI?
[[nodiscard]] bool iopl_permits(const Vcpu& v);

/// One access of 1, 2 or 4 bytes by a domain.
[[nodiscard]] u32 read_port(Domain& d, u16 port, unsigned bytes);
void write_port(Domain& d, u16 port, unsigned bytes, u32 value);

enum class StringResult { done, unfinished, fault };

/// INS or OUTS at the guest's registers. `unfinished`: the registers say how far it got, execute it again;
/// `fault`: a page fault was raised.
[[nodiscard]] StringResult run_string_operation(Vcpu& v, const Decoded& op);

} // namespace streak::pv
