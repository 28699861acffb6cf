// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/errno.hpp"

#include <xen/io/xs_wire.h>

namespace streak::store {

/// The store's side of a domain's ring (xen/io/xs_wire.h, xenstore_domain_interface). The domain writes to the page at
/// any time and whatever it likes: its indexes are read once and checked, the store's own are kept here and only
/// written there.
class Ring {
public:
    static constexpr std::size_t size = XENSTORE_RING_SIZE;

    Ring() = default;
    /// `request_at`, `response_at`: the store's indexes (req_cons, rsp_prod).
    Ring(xenstore_domain_interface& page, std::uint32_t request_at, std::uint32_t response_at)
        : page_(&page), request_at_(request_at), response_at_(response_at) {}

    [[nodiscard]] std::uint32_t request_at() const { return request_at_; }
    [[nodiscard]] std::uint32_t response_at() const { return response_at_; }
    /// The store's indexes as the page has them: those that it wrote last, or what the domain made of them.
    [[nodiscard]] static std::uint32_t request_index(const xenstore_domain_interface& page);
    [[nodiscard]] static std::uint32_t response_index(const xenstore_domain_interface& page);

    /// Adds requests' bytes to `to` until it has `wanted`, or there are no more. The domain may not use their place
    /// until publish(). EINVAL: the domain's index is impossible.
    [[nodiscard]] Result<> take(std::string& to, std::size_t wanted);
    /// What was taken is kept elsewhere now.
    void publish() const;
    /// Gives the domain as much of `bytes` as there is room for; says how much. EINVAL: its index is impossible.
    [[nodiscard]] Result<std::size_t> give(std::string_view bytes);

    /// Tells the domain what it may count on.
    static void announce_features(xenstore_domain_interface& page);
    /// Tells the domain why it is not served any more; XENSTORE_ERROR_*.
    static void report(xenstore_domain_interface& page, std::uint32_t error);
    /// The domain wants to begin anew (XENSTORE_RECONNECT).
    [[nodiscard]] static bool wants_reset(const xenstore_domain_interface& page);
    /// An empty ring. The domain's own indexes are set as well.
    [[nodiscard]] static Ring reset(xenstore_domain_interface& page);

private:
    xenstore_domain_interface* page_ = nullptr;
    std::uint32_t request_at_ = 0, response_at_ = 0;
};

} // namespace streak::store
