// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/boot.hpp"

namespace guest {

/// The page through which a control kernel (lib/child.hpp) and the kernel it started talk: the one behind the start_info
/// page. Nobody else has it.
struct Mailbox {
    static constexpr unsigned offers = 8;

    // What the control kernel sets before the start.
    u32 role, vcpus;
    u64 seed, calls;
    domid_t self, peer;
    u32 control_ports[offers], peer_ports[offers]; ///< that wait for this domain
    u32 control_grant, peer_grant;                 ///< the first of so many references for this domain
    u64 foreign_frames[offers];                    ///< of the others
    u32 stop;

    // What the domain tells.
    u32 state; ///< State
    u64 done, succeeded, rounds;

    // Lines of text.
    u32 written, read;
    char text[2048];

    enum State : u32 { starting, running, finished, failed };
};
static_assert(sizeof(Mailbox) <= page_size);

} // namespace guest
