// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// For functions that return a std::expected.

/// Leaves the function with the error of the expression, when it has one.
#define TRY(...)                                                                                                       \
    do {                                                                                                               \
        if (auto try_result_ = (__VA_ARGS__); !try_result_) [[unlikely]]                                               \
            return std::unexpected(try_result_.error());                                                               \
    } while (0)

/// `variable` becomes the value of the expression, or the function is left with its error.
#define TRY_ASSIGN(variable, ...)                                                                                      \
    auto variable##_result_ = (__VA_ARGS__);                                                                           \
    if (!variable##_result_) [[unlikely]]                                                                              \
        return std::unexpected(variable##_result_.error());                                                            \
    auto& variable = *variable##_result_
