// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace streak::manager {

/// Steps back, done in reverse order unless all went well.
class Undo {
public:
    Undo() = default;
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo() {
        while (!steps_.empty()) {
            steps_.back()();
            steps_.pop_back();
        }
    }
    void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
    void commit() { steps_.clear(); }

private:
    std::vector<std::function<void()>> steps_;
};

} // namespace streak::manager
