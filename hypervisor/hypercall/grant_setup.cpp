// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

// Size, layout and frames of grant tables.

namespace streak::hypercall {

namespace {

using grant::Status;
using xsm::Hook;

/// The domain an operation is about, for callers that may.
[[nodiscard]] grant::Outcome<DomainRef> object_of(domid_t id, Hook hook) {
    auto domain = find_domain(DomId(id));
    if (!domain) return std::unexpected(Status::bad_domain);
    if (!may(hook, **domain)) return std::unexpected(Status::permission_denied);
    return std::move(*domain);
}

/// The numbers of `count` frames of a domain's table.
[[nodiscard]] Result<Status> tell(Domain& domain, u32 count, GuestHandle<u64> list,
                                  Result<Mfn> (*frame_of)(Domain&, u32)) {
    for (u32 i = 0; i < count; ++i) {
        const auto frame = frame_of(domain, i);
        if (!frame) return Status::general_error;
        TRY(list.write(frame->raw(), i));
    }
    return Status::okay;
}

[[nodiscard]] Result<Status> set_up(const gnttab_setup_table_t& op) {
    auto domain = object_of(op.dom, Hook::grant_setup);
    if (!domain) return domain.error();
    if (op.nr_frames > (*domain)->grants->max_frames() || !grants::grow(**domain, op.nr_frames))
        return Status::general_error;
    return tell(**domain, op.nr_frames, GUEST_HANDLE(op.frame_list), grants::shared_frame);
}

[[nodiscard]] Result<Status> list_statuses(const gnttab_get_status_frames_t& op) {
    auto domain = object_of(op.dom, Hook::grant_setup);
    if (!domain) return domain.error();
    if (op.nr_frames > (*domain)->grants->status_count()) return Status::general_error;
    return tell(**domain, op.nr_frames, GUEST_HANDLE(op.frame_list), grants::status_frame);
}

/// An operation that takes no list, and has a status all the same.
template <class T> [[nodiscard]] Return on_one(RawHandle arg, u32 count, Result<Status> (*operation)(T& op)) {
    const auto handle = arg.as<std::remove_const_t<T>>();
    if (count != 1) return fail(Errno::EINVAL);
    TRY_ASSIGN(op, handle.read());
    TRY_ASSIGN(status, operation(op));
    op.status = static_cast<i16>(status);
    return answer(handle.write(op));
}

[[nodiscard]] Result<Status> query_size(gnttab_query_size_t& op) {
    auto domain = object_of(op.dom, Hook::grant_query);
    if (!domain) return domain.error();
    LockGuard guard((*domain)->grant_lock);
    op.nr_frames = (*domain)->grants->frame_count();
    op.max_nr_frames = (*domain)->grants->max_frames();
    return Status::okay;
}

[[nodiscard]] Result<> get_version(gnttab_get_version_t& op) {
    TRY_ASSIGN(domain, find_domain(DomId(op.dom)));
    TRY(may(Hook::grant_query, *domain));
    op.version = domain->grants->version();
    return {};
}

} // namespace

Return grant_setup_table(RawHandle arg, u32 count) { return on_one(arg, count, set_up); }
Return grant_query_size(RawHandle arg, u32 count) { return on_one(arg, count, query_size); }
Return grant_get_status_frames(RawHandle arg, u32 count) { return on_one(arg, count, list_statuses); }
Return grant_get_version(RawHandle arg) { return on_copy(arg, get_version); }

Return grant_set_version(RawHandle arg) {
    TRY_ASSIGN(op, arg.as<gnttab_set_version_t>().read());
    TRY(may(Hook::grant_set_version, caller()));
    const auto set = grants::set_version(caller(), op.version);
    op.version = caller().grants->version();
    TRY(arg.as<gnttab_set_version_t>().write(op));
    return answer(set);
}

Return grant_swap(RawHandle arg, u32 count) {
    TRY(may(Hook::grant_swap, caller()));
    return for_each_grant(arg.as<gnttab_swap_grant_ref_t>(), count, [](const gnttab_swap_grant_ref_t& op) {
        LockGuard guard(caller().grant_lock);
        auto swapped = caller().grants->swap(GrantRef(op.ref_a), GrantRef(op.ref_b));
        return swapped ? Status::okay : swapped.error();
    });
}

} // namespace streak::hypercall
