// SPDX-License-Identifier: GPL-2.0-only

#include "console/console.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

constexpr u32 piece = 128; ///< characters between two looks for more urgent work

Return write(u32 count, GuestHandle<char> buffer) {
    TRY(may(xsm::Hook::console_write, caller()));
    while (count != 0) {
        std::array<char, piece> text;
        const u32 n = std::min(count, piece);
        TRY(buffer.read_array({text.data(), n}));
        console::write({text.data(), n});
        buffer = buffer.offset(n);
        count -= n;
        if (count != 0 && preempt_pending()) {
            set_argument(1, count);
            set_argument(2, buffer.address().raw());
            return fail(Errno::ERESTART);
        }
    }
    return 0;
}

Return read(u32 count, GuestHandle<char> buffer) {
    TRY(may(xsm::Hook::console_read, caller()));
    u32 done = 0;
    while (done < count) {
        std::array<char, piece> text;
        const u32 n = console::read({text.data(), std::min(count - done, piece)});
        if (n == 0) break;
        TRY(buffer.write_array({text.data(), n}, done));
        done += n;
    }
    return static_cast<i64>(done);
}

} // namespace

/// The machine's console, for the control domain. (xen/xen.h, CONSOLEIO_*)
Return console_io(u32 command, u32 count, GuestHandle<char> buffer) {
    switch (command) {
    case CONSOLEIO_write: return write(count, buffer);
    case CONSOLEIO_read: return read(count, buffer);
    default: return fail(Errno::ENOSYS);
    }
}

} // namespace streak::hypercall
