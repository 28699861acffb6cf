// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "mm/guest_handle.hpp"

// What a hypercall handler sees. A handler is an ordinary function whose signature says how the
// registers decode (hypercall/dispatch.hpp); it returns a value ≥ 0 or an Errno.
//
// A long operation stores its progress with set_argument() and returns Errno::ERESTART: the dispatcher
// rewinds the guest (or its multicall) so that the call is made again with the new arguments.

namespace streak::hypercall {

using Return = Result<i64>;

/// What the guest sees of it.
[[nodiscard]] inline i64 value_of(const Return& result) { return result ? *result : -static_cast<i64>(result.error()); }

[[nodiscard]] inline bool restart(const Result<>& r) { return !r && r.error() == Errno::ERESTART; }
using mm::GuestHandle;
using mm::RawHandle;

/// Replaces argument `index` (0 = rdi …) for the repetition of the present call.
void set_argument(unsigned index, u64 value);

/// The rest of a call with a list and, in the argument behind it, its length: `done` elements are.
template <unsigned list_argument = 1, class T>
[[nodiscard]] std::unexpected<Errno> continue_list(GuestHandle<T> list, u32 count, u32 done) {
    set_argument(list_argument, list.offset(done).address().raw());
    set_argument(list_argument + 1, count - done);
    return fail(Errno::ERESTART);
}

/// What a call without a value answers.
template <class T> [[nodiscard]] Return answer(const Result<T>& done) {
    if (!done) return fail(done.error());
    return 0;
}

/// Has something more urgent come up? Opens a short interrupt window: no lock may be held. (domain/wakeup.cpp)
[[nodiscard]] bool preempt_pending();

/// One-line authorisation: `TRY(may(xsm::Hook::evtchn_send, *domain))`.
[[nodiscard]] inline Result<> may(xsm::Hook hook, const Domain& object) {
    return xsm::check(hook, current().domain->subject, object.subject);
}

[[nodiscard]] inline Domain& caller() { return *current().domain; }

/// An operation whose argument is a structure in the guest: it works on a copy, which is written back when it succeeds and
/// may change it (a reference that is not const). EFAULT.
template <class T> [[nodiscard]] Return on_copy(RawHandle arg, Result<> (*operation)(T& op)) {
    const auto handle = arg.as<std::remove_const_t<T>>();
    TRY_ASSIGN(op, handle.read());
    TRY(operation(op));
    if constexpr (!std::is_const_v<T>) TRY(handle.write(op));
    return 0;
}

} // namespace streak::hypercall
