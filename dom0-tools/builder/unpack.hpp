// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "builder/kernel_file.hpp"
#include "loader/bzimage.hpp"

namespace streak::builder {

/// Unpacks `payload` in a process without rights (sandbox.hpp). The result is at most as long as announced.
/// Errors: invalid (damaged, no decoder, decoder crashed or ran too long), resources.
[[nodiscard]] base::Outcome<PageBuffer> unpack(std::string_view file, const loader::KernelPayload& payload);

} // namespace streak::builder
