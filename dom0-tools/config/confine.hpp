// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <seccomp.h>

#include <memory>
#include <type_traits>

namespace streak::config {

using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, decltype(&seccomp_release)>;

/// The system calls of a process that reads and writes descriptor 0 and gets memory, none of it executable; null: no
/// memory. Made before the fork, so that the child of a program with threads need not.
[[nodiscard]] Filter worker_filter();

/// Takes all rights but those of `filter` and descriptor 0 from this process, for good.
[[nodiscard]] bool confine(const Filter& filter);

} // namespace streak::config
