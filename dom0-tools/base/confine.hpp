// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <sys/resource.h>

// For children that do what nobody should do with rights: unpack and parse what others wrote.

namespace streak::base {

/// Exit status of a child that could not give up its rights.
inline constexpr int could_not_confine = 121;

[[nodiscard]] bool limit(__rlimit_resource what, rlim_t most);

/// Takes from this process for good: descriptors from `first_fd` on, user and groups, new privileges, handlers of
/// signals, CPU time beyond `cpu_seconds`, making files and processes. Which system calls it may still make is the
/// caller's part. False: it could not be; leave.
[[nodiscard]] bool give_up_rights(unsigned first_fd, rlim_t cpu_seconds);

/// Ends this process, a copy of one with threads, without a look at anything. (It isn't marked as one that never
/// returns: the sanitizers make system calls before such.)
void leave(int status);

} // namespace streak::base
