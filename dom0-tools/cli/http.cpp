// SPDX-License-Identifier: GPL-2.0-only
#include "cli/http.hpp"

namespace streak::cli {

std::string to_bytes(const Request& request) {
    std::string bytes = request.method + ' ' + request.path + " HTTP/1.1\r\nHost: streak\r\nConnection: close\r\n";
    if (request.method != "GET")
        bytes += "Content-Type: " + request.content_type +
                 "\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
    return bytes + "\r\n" + request.body;
}

AnswerReader::AnswerReader() {
    http_parser_init(&parser_, HTTP_RESPONSE);
    parser_.data = this;
    http_parser_settings_init(&settings_);
    settings_.on_body = [](http_parser* parser, const char* bytes, std::size_t count) {
        auto& body = static_cast<AnswerReader*>(parser->data)->answer_.body;
        if (count > longest_body - body.size()) return 1;
        body.append(bytes, count);
        return 0;
    };
    settings_.on_message_complete = [](http_parser* parser) {
        auto& reader = *static_cast<AnswerReader*>(parser->data);
        reader.answer_.status = static_cast<int>(parser->status_code);
        // "100 Continue" only announces the answer.
        reader.done_ = parser->status_code >= 200;
        return 0;
    };
}

bool AnswerReader::feed(std::string_view bytes) {
    const auto used = http_parser_execute(&parser_, &settings_, bytes.data(), bytes.size());
    return done_ || (used == bytes.size() && HTTP_PARSER_ERRNO(&parser_) == HPE_OK && !bytes.empty());
}

} // namespace streak::cli
