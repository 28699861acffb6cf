// SPDX-License-Identifier: GPL-2.0-only
#include "cli/http.hpp"

#include <http_parser.h>

namespace streak::cli {

struct AnswerReader::State {
    http_parser parser{};
    http_parser_settings settings{};
    Answer answer{};
    bool done = false;
};

namespace {

template <class State> State& state_of(http_parser* parser) { return *static_cast<State*>(parser->data); }

} // namespace

std::string to_bytes(const Request& request) {
    std::string bytes = request.method + ' ' + request.path + " HTTP/1.1\r\nHost: streak\r\nConnection: close\r\n";
    if (request.method != "GET")
        bytes += "Content-Type: " + request.content_type +
                 "\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
    return bytes + "\r\n" + request.body;
}

AnswerReader::AnswerReader() : state_(std::make_unique<State>()) {
    http_parser_init(&state_->parser, HTTP_RESPONSE);
    state_->parser.data = state_.get();
    http_parser_settings_init(&state_->settings);
    state_->settings.on_body = [](http_parser* parser, const char* bytes, std::size_t count) {
        auto& body = state_of<State>(parser).answer.body;
        if (count > longest_body - body.size()) return 1;
        body.append(bytes, count);
        return 0;
    };
    state_->settings.on_message_complete = [](http_parser* parser) {
        auto& state = state_of<State>(parser);
        state.answer.status = static_cast<int>(parser->status_code);
        // "100 Continue" only announces the answer.
        state.done = parser->status_code >= 200;
        return 0;
    };
}

AnswerReader::~AnswerReader() = default;

bool AnswerReader::feed(std::string_view bytes) {
    const auto used = http_parser_execute(&state_->parser, &state_->settings, bytes.data(), bytes.size());
    return state_->done || (used == bytes.size() && HTTP_PARSER_ERRNO(&state_->parser) == HPE_OK && !bytes.empty());
}

bool AnswerReader::done() const { return state_->done; }

Answer& AnswerReader::answer() { return state_->answer; }

} // namespace streak::cli
