// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <atomic>
#include <expected>

#include "lib/try.hpp"

// Parts of the standard library include the C library's <errno.h>, whose macros carry the names of the
// enumerators below; its include guard keeps them from coming back.
#undef EPERM
#undef ENOENT
#undef ESRCH
#undef EINTR
#undef EIO
#undef ENXIO
#undef E2BIG
#undef ENOEXEC
#undef EBADF
#undef ECHILD
#undef EAGAIN
#undef EWOULDBLOCK
#undef ENOMEM
#undef EACCES
#undef EFAULT
#undef EBUSY
#undef EEXIST
#undef EXDEV
#undef ENODEV
#undef ENOTDIR
#undef EISDIR
#undef EINVAL
#undef ENFILE
#undef EMFILE
#undef ENOSPC
#undef EROFS
#undef EMLINK
#undef EDOM
#undef ERANGE
#undef EDEADLK
#undef EDEADLOCK
#undef ENAMETOOLONG
#undef ENOLCK
#undef ENOSYS
#undef ENOTEMPTY
#undef ENODATA
#undef ETIME
#undef EBADMSG
#undef EOVERFLOW
#undef EILSEQ
#undef ERESTART
#undef ENOTSOCK
#undef EMSGSIZE
#undef EOPNOTSUPP
#undef EADDRINUSE
#undef EADDRNOTAVAIL
#undef ENOBUFS
#undef EISCONN
#undef ENOTCONN
#undef ETIMEDOUT
#undef ECONNREFUSED

namespace streak {

/// Error codes of the ABI (xen/errno.h), positive; the dispatcher alone negates them.
enum class Errno : std::int32_t {
#define XEN_ERRNO(name, value) name = value,
#include <xen/errno.h>
    ERESTART = 85, ///< internal: the call is to be made again; no guest ever sees it
};

template <class T = void> using Result = std::expected<T, Errno>;

[[nodiscard]] constexpr std::unexpected<Errno> fail(Errno error) { return std::unexpected(error); }

} // namespace streak
