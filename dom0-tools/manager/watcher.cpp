// SPDX-License-Identifier: GPL-2.0-only
#include "manager/watcher.hpp"

#include "base/log.hpp"

namespace streak::manager {

namespace {

constexpr unsigned workers = 2;
constexpr device::Milliseconds long_time = std::chrono::hours(1);

} // namespace

void Watcher::start() {
    std::thread([this] { listen(); }).detach();
    for (unsigned i = 0; i < workers; ++i) std::thread([this] { work(); }).detach();
}

void Watcher::listen() {
    while (true) {
        auto watch = manager_.environment().store.watch({"@releaseDomain"});
        // Each new connection begins with a look: ends may have been missed.
        while (watch) {
            const auto heard = (*watch)->wait(long_time);
            if (!heard) break;
            if (*heard) look();
        }
        base::log(base::LogLevel::warning, "the store is not there; ends of guests are noticed once it is back");
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}

void Watcher::look() {
    auto found = manager_.find_ends();
    if (found.empty()) return;
    const std::lock_guard lock(mutex_);
    ends_.insert(ends_.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    more_.notify_all();
}

void Watcher::work() {
    while (true) {
        std::unique_lock lock(mutex_);
        more_.wait(lock, [&] { return !ends_.empty(); });
        const Manager::End end = std::move(ends_.front());
        ends_.pop_front();
        lock.unlock();
        manager_.handle_end(end);
    }
}

} // namespace streak::manager
