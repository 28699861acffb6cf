// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "hypercall/call.hpp"

// Every hypercall handler; the signature says how its registers decode.

namespace streak::hypercall {

} // namespace streak::hypercall
