// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <http_parser.h>

#include <string>
#include <string_view>

#include "cli/failure.hpp"

// HTTP/1.1 as a client of streakd speaks it: one request, one answer a connection. Pure.

namespace streak::cli {

struct Request {
    std::string method;
    std::string path; ///< with its query, percent-encoded
    std::string body{};
    std::string content_type = "application/json";
};

struct Answer {
    int status = 0;
    std::string body;
};

[[nodiscard]] std::string to_bytes(const Request& request);

/// Puts an answer together from pieces of any size.
class AnswerReader {
public:
    AnswerReader();
    AnswerReader(const AnswerReader&) = delete;
    AnswerReader& operator=(const AnswerReader&) = delete;
    /// Nothing more is to be fed once it is done. An empty piece means that the connection ended.
    /// False: the bytes are no HTTP, or more than an answer may have.
    [[nodiscard]] bool feed(std::string_view bytes);
    [[nodiscard]] bool done() const { return done_; }
    [[nodiscard]] Answer& answer() { return answer_; }

    static constexpr std::size_t longest_body = 64 << 20;

private:
    http_parser parser_{};
    http_parser_settings settings_{};
    Answer answer_{};
    bool done_ = false;
};

} // namespace streak::cli
