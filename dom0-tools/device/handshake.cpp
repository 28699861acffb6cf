// SPDX-License-Identifier: GPL-2.0-only
#include "device/handshake.hpp"

#include <fmt/format.h>

namespace streak::device {

namespace {

bool at_rest(State state) { return state == State::closed || state == State::unknown; }
/// Nobody but the toolstack has touched this end yet.
bool untouched(State state) { return state == State::initialising || state == State::unknown; }

std::string_view word(Kind kind) { return kind == Kind::disk ? "disk" : "interface"; }
std::string_view driver(Kind kind) { return kind == Kind::disk ? "blk" : "net"; }
std::string both(Ends ends) {
    return fmt::format("guest {}, backend {}", name_of(ends.frontend), name_of(ends.backend));
}

} // namespace

Progress Attach::saw(Ends ends) {
    last_ = ends;
    if (ends.backend == State::connected && ends.frontend == State::connected) return Progress::done;
    const bool gave_up = ends.backend == State::closing || ends.backend == State::closed ||
                         (backend_was_there_ && ends.backend == State::unknown);
    backend_was_there_ |= ends.backend != State::unknown;
    return gave_up ? Progress::failed : Progress::waiting;
}

base::Error Attach::failure(const std::string& reason) const {
    base::Error error{base::ErrorKind::timeout, fmt::format("the {} was not connected", word(kind_)),
                      "both ends connected", both(last_)};
    if (last_.backend == State::closing || last_.backend == State::closed || !reason.empty()) {
        error.kind = base::ErrorKind::unavailable;
        error.remedy = reason.empty() ? "The backend in dom0 gave up: see dom0's kernel log"
                                      : fmt::format("The backend in dom0 says: {}", reason);
    } else if (untouched(last_.backend)) {
        error.kind = base::ErrorKind::unavailable;
        error.remedy = fmt::format("No backend in dom0 took it: load the module xen-{}back", driver(kind_));
    } else {
        error.remedy =
            fmt::format("The guest did not answer: it needs a running kernel with xen-{}front", driver(kind_));
    }
    return error;
}

Progress Detach::saw(Ends ends) {
    last_ = ends;
    // A frontend that never began to use the device has nothing to let go of.
    const bool guest_let_go = at_rest(ends.frontend) || ends.frontend == State::initialising;
    return guest_let_go && (at_rest(ends.backend) || ends.frontend != State::closed) ? Progress::done
                                                                                     : Progress::waiting;
}

base::Error Detach::failure() const {
    const bool guest = !at_rest(last_.frontend);
    return {base::ErrorKind::timeout, fmt::format("the {} was not let go", word(kind_)), "both ends closed",
            both(last_),
            guest ? "The guest did not answer: unmount it in the guest, or detach with force"
                  : "The backend in dom0 did not answer: see dom0's kernel log, or detach with force"};
}

} // namespace streak::device
