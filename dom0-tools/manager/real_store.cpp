// SPDX-License-Identifier: GPL-2.0-only
#include "manager/real_store.hpp"

namespace streak::manager {

namespace {

using Clock = std::chrono::steady_clock;

class RealWatch final : public device::Store::Watch {
public:
    explicit RealWatch(store::Client client) : client_(std::move(client)) {}

    Result<bool> wait(device::Milliseconds limit) override {
        TRY_ASSIGN(event, client_.next_event(limit));
        if (!event) return false;
        // One look at the nodes answers to all that is queued.
        while (true) {
            TRY_ASSIGN(more, client_.next_event(device::Milliseconds(0)));
            if (!more) return true;
        }
    }

private:
    store::Client client_;
};

} // namespace

Result<store::Client> RealStore::new_client() const {
    const auto end = Clock::now() + patience_;
    while (true) {
        auto client = store::Client::connect(socket_.c_str());
        if (client || Clock::now() >= end) return client;
        std::this_thread::sleep_for(device::Milliseconds(50));
    }
}

Result<> RealStore::connect() {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(client, new_client());
    // Parents of what is removed again and again.
    device::Changes parents;
    for (const char* path : {"/vm", "/local/domain/0/backend/vbd", "/local/domain/0/backend/vif",
                             "/local/domain/0/error/backend/vbd", "/local/domain/0/error/backend/vif"})
        parents.push_back({store::Client::Change::Kind::write, path});
    TRY(client.apply(parents));
    client_.emplace(std::move(client));
    return {};
}

template <class F> auto RealStore::with_client(F&& request) -> decltype(request(std::declval<store::Client&>())) {
    const std::lock_guard lock(mutex_);
    for (bool repeated = false;; repeated = true) {
        if (!client_) {
            TRY_ASSIGN(client, new_client());
            client_.emplace(std::move(client));
        }
        auto result = request(*client_);
        if (result || result.error() != Errno::EIO) return result;
        client_.reset();
        if (repeated) return result;
    }
}

Result<> RealStore::apply(const device::Changes& changes) {
    const auto applied = with_client([&](store::Client& client) { return client.apply(changes); });
    if (applied || applied.error() != Errno::ENOENT) return applied;
    // The store refuses to remove what has no parent either: such changes are made already.
    device::Changes rest;
    for (const auto& change : changes) {
        if (change.kind == store::Client::Change::Kind::remove) {
            TRY_ASSIGN(node, find(change.path));
            if (!node) continue;
        }
        rest.push_back(change);
    }
    return with_client([&](store::Client& client) { return client.apply(rest); });
}

Result<std::optional<std::string>> RealStore::find(const std::string& path) {
    return with_client([&](store::Client& client) { return client.find(path); });
}

Result<std::vector<std::string>> RealStore::list(const std::string& path) {
    auto names = with_client([&](store::Client& client) { return client.list(path); });
    if (!names && names.error() == Errno::ENOENT) return std::vector<std::string>{};
    return names;
}

Result<> RealStore::introduce(DomId domain, std::uint64_t frame, EvtchnPort port) {
    return with_client([&](store::Client& client) { return client.introduce(domain, frame, port); });
}

Result<std::unique_ptr<device::Store::Watch>> RealStore::watch(const std::vector<std::string>& paths) {
    TRY_ASSIGN(client, new_client());
    for (const std::string& path : paths) TRY(client.watch(path, path));
    return std::make_unique<RealWatch>(std::move(client));
}

} // namespace streak::manager
