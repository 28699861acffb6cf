// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <string>

#include "manager/manager.hpp"

// The API's requests (docs/api.md), without sockets.

namespace streak::manager {

struct ApiRequest {
    std::string method, path; ///< path: without the query, unescaped
    std::map<std::string, std::string> query{};
    std::string body{};
};

struct ApiAnswer {
    unsigned status = 200;
    std::string body;
    const char* content_type = "application/json";
};

/// Longest body of a request, in bytes.
inline constexpr std::size_t most_body_bytes = 1 << 20;

/// May wait, for events or for a guest; never fails otherwise than by its answer.
[[nodiscard]] ApiAnswer answer_request(Manager& manager, const ApiRequest& request);
[[nodiscard]] ApiAnswer error_answer(const base::Error& error, const std::string& findings = {});

} // namespace streak::manager
