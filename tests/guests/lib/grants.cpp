// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/grants.hpp"

#include "tests/guests/lib/verdict.hpp"

namespace guest {

long setup_table(unsigned count, xen_pfn_t* frames, std::int16_t& status) {
    gnttab_setup_table_t op = {};
    op.dom = DOMID_SELF;
    op.nr_frames = count;
    set_xen_guest_handle(op.frame_list, frames);
    const long result = grant_table_op(GNTTABOP_setup_table, &op);
    status = op.status;
    return result;
}

grant_entry_v1_t* init_grants_v1() {
    gnttab_set_version_t version = {.version = 1};
    const long result = grant_table_op(GNTTABOP_set_version, &version);
    if (result != 0 && result != -XEN_ENOSYS) error("grant table version 1 cannot be set");
    xen_pfn_t frame = 0;
    std::int16_t status = 0;
    if (setup_table(1, &frame, status) != 0 || status != GNTST_okay) error("the grant table cannot be set up");
    Page* window = alloc_page();
    if (update_va_mapping(std::bit_cast<u64>(window), pte(frame, pte_rw)) != 0)
        error("the grant table cannot be mapped");
    return reinterpret_cast<grant_entry_v1_t*>(window);
}

void grant_access(grant_entry_v1_t* table, grant_ref_t ref, domid_t domain, u64 mfn, bool readonly) {
    table[ref].domid = domain;
    table[ref].frame = static_cast<u32>(mfn);
    const u16 flags = static_cast<u16>(GTF_permit_access | (readonly ? GTF_readonly : 0));
    __atomic_store_n(&table[ref].flags, flags, __ATOMIC_SEQ_CST);
}

long map_grant(u64 address, grant_ref_t ref, u32 flags, domid_t domain) {
    gnttab_map_grant_ref_t op = {};
    op.host_addr = address;
    op.flags = flags;
    op.ref = ref;
    op.dom = domain;
    const long result = grant_table_op(GNTTABOP_map_grant_ref, &op);
    if (result != 0) error("GNTTABOP_map_grant_ref itself fails");
    return op.status != GNTST_okay ? op.status : static_cast<long>(op.handle);
}

long unmap_grant(u64 address, grant_handle_t handle) {
    gnttab_unmap_grant_ref_t op = {};
    op.host_addr = address;
    op.handle = handle;
    const long result = grant_table_op(GNTTABOP_unmap_grant_ref, &op);
    return result != 0 ? result : op.status;
}

} // namespace guest
