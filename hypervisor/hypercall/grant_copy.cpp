// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/grant_table_op.hpp"

#include <cstring>

#include "domain/held_frame.hpp"

// GNTTABOP_copy: between frames that are granted, or the caller's own, through the direct map.

namespace streak::hypercall {

namespace {

using grant::Granted;
using grant::Outcome;
using grant::Status;

[[nodiscard]] auto refuse(Status s) { return std::unexpected(s); }

/// A pin that ends with its scope.
class Pin : NotCopyable {
public:
    [[nodiscard]] Outcome<const Granted*> begin(Domain& granter, GrantRef ref, DomId user, bool write) {
        auto granted = grants::pin(granter, ref, {.user = user, .write = write, .map = false});
        if (granted) {
            granter_ = granter.id;
            generation_ = granter.grants->generation();
            ref_ = ref;
            write_ = write;
            active_ = true;
        }
        return granted;
    }
    ~Pin() {
        if (active_) grants::unpin(granter_, generation_, ref_, write_);
    }

private:
    DomId granter_{};
    u32 generation_ = 0;
    GrantRef ref_{};
    bool write_ = false;
    bool active_ = false;
};

/// One end of a copy, and all that keeps it in place meanwhile.
class CopyEnd {
public:
    using Where = gnttab_copy::gnttab_copy_ptr;

    [[nodiscard]] Outcome<> open(const Where& at, u16 length, bool by_reference, bool write) {
        write_ = write;
        if (u32{at.offset} + length > page_size) return refuse(Status::bad_copy_arg);
        if (!by_reference) return open_own(at);
        return open_grant(at, length);
    }

    [[nodiscard]] u8* memory(u16 offset) const { return frame_.memory<u8>() + offset; }

private:
    [[nodiscard]] Outcome<> take(const Domain& owner, Mfn frame, Status otherwise) {
        frame_ = HeldFrame(owner, frame, write_);
        return frame_ ? Outcome<>{} : refuse(otherwise);
    }

    [[nodiscard]] Outcome<> open_own(const Where& at) {
        if (DomId(at.domid) != self_id) return refuse(Status::permission_denied);
        return take(caller(), Mfn(at.u.gmfn), Status::bad_page);
    }

    [[nodiscard]] Outcome<> open_grant(const Where& at, u16 length) {
        auto granter = find_domain(DomId(at.domid));
        if (!granter) return refuse(Status::bad_domain);
        if (!may(xsm::Hook::grant_copy, **granter)) return refuse(Status::permission_denied);
        auto granted = outer_.begin(**granter, GrantRef(at.u.ref), caller().id, write_);
        if (!granted) return refuse(granted.error());
        if ((*granted)->transitive) return open_transitive(**granter, **granted, at.offset, length);
        return use(**granter, **granted, at.offset, length);
    }

    /// The grant leads to one that its granter got from a third domain. That one must not lead on.
    [[nodiscard]] Outcome<> open_transitive(Domain& middle, const Granted& via, u16 offset, u16 length) {
        auto owner = find_domain(via.via_domain());
        if (!owner || owner->get() == &middle) return refuse(Status::general_error);
        auto granted = inner_.begin(**owner, via.via_ref(), middle.id, write_);
        if (!granted) return refuse(granted.error());
        if ((*granted)->transitive) return refuse(Status::general_error);
        return use(**owner, **granted, offset, length);
    }

    [[nodiscard]] Outcome<> use(Domain& owner, const Granted& g, u16 offset, u16 length) {
        if (offset < g.offset || u32{offset} + length > u32{g.offset} + g.length) return refuse(Status::general_error);
        return take(owner, g.mfn(), Status::general_error);
    }

    Pin outer_, inner_;
    HeldFrame frame_; // goes before the pins
    bool write_ = false;
};

[[nodiscard]] Status copy_one(const gnttab_copy_t& op) {
    CopyEnd source, destination;
    if (auto opened = source.open(op.source, op.len, op.flags & GNTCOPY_source_gref, false); !opened)
        return opened.error();
    if (auto opened = destination.open(op.dest, op.len, op.flags & GNTCOPY_dest_gref, true); !opened)
        return opened.error();
    std::memmove(destination.memory(op.dest.offset), source.memory(op.source.offset), op.len);
    return Status::okay;
}

} // namespace

Return grant_copy(GuestHandle<gnttab_copy_t> list, u32 count) { return for_each_grant(list, count, copy_one); }

} // namespace streak::hypercall
