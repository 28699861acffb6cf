// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/events.hpp"

#include "tests/guests/lib/cpu.hpp"

namespace guest {

namespace {

unsigned long* word_of(unsigned long* bitmap, u32 port) { return &bitmap[port / 64]; }

u64 bit_of(u32 port) { return 1ull << (port % 64); }

} // namespace

bool port_pending(u32 port) {
    return __atomic_load_n(word_of(shared_page().evtchn_pending, port), __ATOMIC_SEQ_CST) & bit_of(port);
}

bool port_masked(u32 port) {
    return __atomic_load_n(word_of(shared_page().evtchn_mask, port), __ATOMIC_SEQ_CST) & bit_of(port);
}

void clear_port(u32 port) {
    __atomic_fetch_and(word_of(shared_page().evtchn_pending, port), ~bit_of(port), __ATOMIC_SEQ_CST);
}

void mask_port(u32 port) {
    __atomic_fetch_or(word_of(shared_page().evtchn_mask, port), bit_of(port), __ATOMIC_SEQ_CST);
}

void unmask_port(u32 port) {
    __atomic_fetch_and(word_of(shared_page().evtchn_mask, port), ~bit_of(port), __ATOMIC_SEQ_CST);
}

long alloc_unbound(domid_t remote, domid_t domain) {
    evtchn_alloc_unbound_t op = {.dom = domain, .remote_dom = remote, .port = 0};
    const long result = event_channel_op(EVTCHNOP_alloc_unbound, &op);
    return result != 0 ? result : op.port;
}

long bind_interdomain(u32 remote_port, domid_t remote) {
    evtchn_bind_interdomain_t op = {.remote_dom = remote, .remote_port = remote_port, .local_port = 0};
    const long result = event_channel_op(EVTCHNOP_bind_interdomain, &op);
    return result != 0 ? result : op.local_port;
}

long bind_virq(u32 virq, u32 vcpu) {
    evtchn_bind_virq_t op = {.virq = virq, .vcpu = vcpu, .port = 0};
    const long result = event_channel_op(EVTCHNOP_bind_virq, &op);
    return result != 0 ? result : op.port;
}

long bind_ipi(u32 vcpu) {
    evtchn_bind_ipi_t op = {.vcpu = vcpu, .port = 0};
    const long result = event_channel_op(EVTCHNOP_bind_ipi, &op);
    return result != 0 ? result : op.port;
}

long send(u32 port) {
    evtchn_send_t op = {.port = port};
    return event_channel_op(EVTCHNOP_send, &op);
}

long close_port(u32 port) {
    evtchn_close_t op = {.port = port};
    return event_channel_op(EVTCHNOP_close, &op);
}

long unmask_op(u32 port) {
    evtchn_unmask_t op = {.port = port};
    return event_channel_op(EVTCHNOP_unmask, &op);
}

long bind_vcpu(u32 port, u32 vcpu) {
    evtchn_bind_vcpu_t op = {.port = port, .vcpu = vcpu};
    return event_channel_op(EVTCHNOP_bind_vcpu, &op);
}

evtchn_status_t status(u32 port, long& result) {
    evtchn_status_t op = {};
    op.dom = DOMID_SELF;
    op.port = port;
    result = event_channel_op(EVTCHNOP_status, &op);
    return op;
}

void mask_events() { __atomic_store_n(&this_vcpu().evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST); }

void unmask_events() {
    __atomic_store_n(&this_vcpu().evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&this_vcpu().evtchn_upcall_pending, __ATOMIC_SEQ_CST)) xen_version(XENVER_version);
}

u64 system_time() {
    const auto& time = const_cast<const volatile vcpu_time_info_t&>(this_vcpu().time);
    u32 version;
    u64 result;
    do {
        version = time.version;
        asm volatile("" : : : "memory");
        u64 delta = rdtsc() - time.tsc_timestamp;
        delta = time.tsc_shift >= 0 ? delta << time.tsc_shift : delta >> -time.tsc_shift;
        result =
            time.system_time + static_cast<u64>(static_cast<unsigned __int128>(delta) * time.tsc_to_system_mul >> 32);
        asm volatile("" : : : "memory");
    } while ((version & 1) != 0 || version != time.version);
    return result;
}

} // namespace guest
