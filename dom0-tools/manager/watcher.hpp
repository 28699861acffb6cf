// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/manager.hpp"

#include <deque>

namespace streak::manager {

/// Hears from the store that domains ended, and has a few threads see to each of them: a guest that takes long to be
/// started again does not keep the others waiting. Runs until the process ends.
class Watcher {
public:
    explicit Watcher(Manager& manager) : manager_(manager) {}
    void start();

private:
    void listen();
    void look();
    void work();

    Manager& manager_;
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Manager::End> ends_;
};

} // namespace streak::manager
