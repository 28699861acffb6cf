// SPDX-License-Identifier: GPL-2.0-only
#include "store/ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace streak::store {

namespace {

/// Sequentially consistent: a domain rings only when it finds the other index where it would wait for it, so that each
/// side has to look at the other's index after it has written its own.
[[nodiscard]] std::uint32_t load(const std::uint32_t& shared) {
    return std::atomic_ref(const_cast<std::uint32_t&>(shared)).load();
}
void store(std::uint32_t& shared, std::uint32_t value) { std::atomic_ref(shared).store(value); }

} // namespace

std::uint32_t Ring::request_index(const xenstore_domain_interface& page) { return load(page.req_cons); }
std::uint32_t Ring::response_index(const xenstore_domain_interface& page) { return load(page.rsp_prod); }

Result<> Ring::take(std::string& to, std::size_t wanted) {
    const std::uint32_t waiting = load(page_->req_prod) - request_at_;
    if (waiting > size) return fail(Errno::EINVAL);
    std::size_t left = std::min<std::size_t>(waiting, wanted - std::min(wanted, to.size()));
    while (left != 0) {
        const std::size_t at = MASK_XENSTORE_IDX(request_at_), piece = std::min(left, size - at);
        to.append(page_->req + at, piece);
        request_at_ += static_cast<std::uint32_t>(piece);
        left -= piece;
    }
    return {};
}

void Ring::publish() const { store(page_->req_cons, request_at_); }

Result<std::size_t> Ring::give(std::string_view bytes) {
    const std::uint32_t unread = response_at_ - load(page_->rsp_cons);
    if (unread > size) return fail(Errno::EINVAL);
    const std::size_t given = std::min(size - unread, bytes.size());
    for (bytes = bytes.substr(0, given); !bytes.empty();) {
        const std::size_t at = MASK_XENSTORE_IDX(response_at_), piece = std::min(bytes.size(), size - at);
        std::memcpy(page_->rsp + at, bytes.data(), piece);
        response_at_ += static_cast<std::uint32_t>(piece);
        bytes.remove_prefix(piece);
    }
    if (given != 0) store(page_->rsp_prod, response_at_);
    return given;
}

void Ring::announce_features(xenstore_domain_interface& page) {
    store(page.server_features, XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
}

void Ring::report(xenstore_domain_interface& page, std::uint32_t error) { store(page.error, error); }

bool Ring::wants_reset(const xenstore_domain_interface& page) { return load(page.connection) == XENSTORE_RECONNECT; }

Ring Ring::reset(xenstore_domain_interface& page) {
    for (std::uint32_t* index : {&page.req_cons, &page.req_prod, &page.rsp_cons, &page.rsp_prod}) store(*index, 0);
    store(page.error, XENSTORE_ERROR_NONE);
    store(page.connection, XENSTORE_CONNECTED);
    return {page, 0, 0};
}

} // namespace streak::store
