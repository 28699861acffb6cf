// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Included in front of every source of the hypervisor: the standard library's checks (_GLIBCXX_ASSERTIONS) call a
// function without arguments. The backtrace says where; texts of all conditions would be 30 KiB of the image.

#include <bits/c++config.h>

namespace streak {
[[noreturn, gnu::cold]] void library_check_failed();
}

#undef __glibcxx_assert_impl
#define __glibcxx_assert_impl(condition)                                                                               \
    if (__builtin_expect(!bool(condition), false)) {                                                                   \
        __glibcxx_constexpr_assert(false);                                                                             \
        ::streak::library_check_failed();                                                                              \
    }
