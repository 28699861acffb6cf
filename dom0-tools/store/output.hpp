// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

namespace streak::store {

/// Encoded messages on their way to a client, oldest first.
class Output {
public:
    Output() = default;
    Output(const Output&) = delete; // events_ looks into messages_
    Output& operator=(const Output&) = delete;

    void add(std::string message) {
        bytes_ += message.size();
        messages_.push_back(std::move(message));
    }
    /// False: the same event waits already, and one tells as much as two.
    bool add_event(std::string message) {
        if (events_.contains(message)) return false;
        add(std::move(message));
        events_.insert(messages_.back());
        return true;
    }

    [[nodiscard]] bool empty() const { return messages_.empty(); }
    /// That wait.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] std::size_t messages() const { return messages_.size(); }
    /// What waits of a message; the oldest one is 0.
    [[nodiscard]] std::string_view message(std::size_t i) const {
        return std::string_view(messages_[i]).substr(i == 0 ? begun_ : 0);
    }
    /// The client has the first `n` bytes.
    void delivered(std::size_t n) {
        bytes_ -= n;
        for (begun_ += n; !messages_.empty() && begun_ >= messages_.front().size(); messages_.pop_front()) {
            begun_ -= messages_.front().size();
            events_.erase(messages_.front());
        }
    }

private:
    std::deque<std::string> messages_;
    std::unordered_set<std::string_view> events_;
    std::size_t begun_ = 0; ///< bytes of the oldest message that were delivered
    std::size_t bytes_ = 0;
};

} // namespace streak::store
