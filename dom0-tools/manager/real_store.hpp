// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include "device/access.hpp"

namespace streak::manager {

/// The store over its socket. When the store restarts, requests wait a while for it and are made again: all of them may
/// be repeated.
class RealStore final : public device::Store {
public:
    RealStore(std::string socket, device::Milliseconds patience) : socket_(std::move(socket)), patience_(patience) {}

    [[nodiscard]] Result<> apply(const device::Changes& changes) override;
    [[nodiscard]] Result<std::optional<std::string>> find(const std::string& path) override;
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) override;
    [[nodiscard]] Result<> introduce(DomId domain, std::uint64_t frame, EvtchnPort port) override;
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(const std::vector<std::string>& paths) override;

    /// Connects, waiting for the store to be there.
    [[nodiscard]] Result<> connect();

private:
    [[nodiscard]] Result<store::Client> new_client() const;
    template <class F> auto with_client(F&& request) -> decltype(request(std::declval<store::Client&>()));

    std::string socket_;
    device::Milliseconds patience_;
    std::mutex mutex_;
    std::optional<store::Client> client_;
};

} // namespace streak::manager
