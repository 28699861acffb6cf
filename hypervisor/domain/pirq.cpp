// SPDX-License-Identifier: GPL-2.0-only
#include "domain/pirq.hpp"

#include <new>

#include "domain/notify.hpp"
#include "mm/page_type.hpp"

namespace streak::pirqs {

namespace {

using irq::DomainIrqs;
using irq::PirqBinding;

constexpr u32 msi_numbers = 192; ///< PIRQs beyond the lines

[[nodiscard]] PirqBinding* find(const Domain& domain, Pirq pirq) {
    if (!domain.irqs || pirq.raw() >= domain.irqs->count) return nullptr;
    PirqBinding& b = domain.irqs->bindings[pirq.raw()];
    return b.mapped ? &b : nullptr;
}

[[nodiscard]] bool is_msi(const PirqBinding& b) { return b.source.capability != 0; }

/// An interrupt came: interrupts off, on whichever CPU.
void on_interrupt(Irq, void* context) {
    auto& b = *static_cast<PirqBinding*>(context);
    const EvtchnPort number(b.port.load(std::memory_order_acquire));
    if (number.raw() == 0) return;
    if (evtchn::Port* port = b.domain->ports->find(number)) events::raise(*b.domain, *port, number);
}

/// The MSI goes to another CPU. Consecutive messages share one register: the first one writes it.
void on_message(Irq, const irq::MsiMessage& message, void* context) {
    const auto& b = *static_cast<const PirqBinding*>(context);
    if (b.message == 0) msi::enable(b.source, message, b.log2_messages);
}

void write_message(const PirqBinding& b) {
    if (b.message == 0) msi::enable(b.source, irq::msi_message(b.irq), b.log2_messages);
}

void set_eoi_bit(const DomainIrqs& irqs, u32 pirq, bool needs_eoi) {
    if (!irqs.eoi_map) return;
    std::atomic_ref word(irqs.eoi_map[pirq / 8]);
    const u8 bit = static_cast<u8>(1u << (pirq % 8));
    if (needs_eoi) word.fetch_or(bit);
    else word.fetch_and(static_cast<u8>(~bit));
}

/// `count` unused numbers in a row: lines from below, MSIs from above, as the incumbent gives them.
[[nodiscard]] Result<Pirq> find_free(const Domain& domain, bool msi, u32 count) {
    if (!domain.irqs || domain.irqs->count < count) return fail(Errno::ENOSPC);
    const u32 last = domain.irqs->count - count;
    for (u32 i = 0; i <= last; ++i) {
        const u32 first = msi ? last - i : i;
        u32 unused = 0;
        while (unused < count && !domain.irqs->bindings[first + unused].mapped) ++unused;
        if (unused == count && first >= 16) // ISA numbers are never given out by chance
            return Pirq(first);
    }
    return fail(Errno::ENOSPC);
}

/// The numbers for a request: a free run, or the ones the guest names.
[[nodiscard]] Result<Pirq> choose(const Domain& domain, bool msi, u32 count, i32 wanted) {
    if (!domain.irqs) return fail(Errno::EINVAL);
    if (wanted < 0) return find_free(domain, msi, count);
    const u32 first = static_cast<u32>(wanted);
    if (first >= domain.irqs->count || count > domain.irqs->count - first) return fail(Errno::EINVAL);
    for (u32 i = 0; i < count; ++i)
        if (domain.irqs->bindings[first + i].mapped) return fail(Errno::EEXIST);
    return Pirq(first);
}

[[nodiscard]] bool in_use(const DomainIrqs& irqs, const msi::Source& s) {
    return std::ranges::any_of(std::span(irqs.bindings, irqs.count),
                               [&](const PirqBinding& b) { return b.mapped && b.source == s; });
}

} // namespace

Result<> create(Domain& domain) {
    if (domain.irqs) return {};
    auto irqs = mm::make_owned<DomainIrqs>();
    if (!irqs) return fail(Errno::ENOMEM);
    irqs->count = irq::gsi_count() + msi_numbers;
    auto* memory = static_cast<PirqBinding*>(mm::allocate(irqs->count * sizeof(PirqBinding)));
    if (!memory) return fail(Errno::ENOMEM);
    for (u32 i = 0; i < irqs->count; ++i) {
        PirqBinding* b = ::new (&memory[i]) PirqBinding{};
        b->domain = &domain;
        b->pirq = i;
    }
    irqs->bindings = memory;
    domain.irqs = irqs.release();
    return {};
}

Result<> relinquish(Domain& domain) {
    if (!domain.irqs) return {};
    LockGuard guard(domain.event_lock);
    for (u32 i = 0; i < domain.irqs->count; ++i)
        if (find(domain, Pirq(i))) (void)unmap(domain, Pirq(i));
    if (u8* map = std::exchange(domain.irqs->eoi_map, nullptr))
        mm::put_page_and_type(mm::page_of_unchecked(to_mfn(arch::direct_map_maddr(map))));
    return {};
}

void destroy(Domain& domain) {
    DomainIrqs* irqs = std::exchange(domain.irqs, nullptr);
    if (!irqs) return;
    if (irqs->bindings) mm::deallocate(irqs->bindings, irqs->count * sizeof(PirqBinding));
    mm::Owned<DomainIrqs>{irqs}.reset();
}

Result<Pirq> free_number(const Domain& domain, bool msi) { return find_free(domain, msi, 1); }

Result<Pirq> map_gsi(Domain& domain, u32 gsi, i32 wanted) {
    auto line = irq::gsi_to_irq(gsi);
    if (!line) return fail(Errno::EINVAL);
    if (wanted >= 0)
        if (const PirqBinding* b = find(domain, Pirq(static_cast<u32>(wanted))); b && !is_msi(*b) && b->irq == *line)
            return Pirq(b->pirq);
    TRY_ASSIGN(pirq, choose(domain, false, 1, wanted));
    PirqBinding& b = domain.irqs->bindings[pirq.raw()];
    b.irq = *line;
    b.source = {};
    b.mapped = true;
    return pirq;
}

Result<Pirq> map_msi(Domain& domain, const MsiRequest& request, i32 wanted) {
    TRY_ASSIGN(pirq, choose(domain, true, request.count, wanted));
    TRY_ASSIGN(source, request.msix ? msi::find_msix(request.device, request.entry)
                                    : msi::find_msi(request.device, request.count));
    if (in_use(*domain.irqs, source)) return fail(Errno::EEXIST);
    TRY_ASSIGN(first, irq::create_msi(request.count));
    for (u32 i = 0; i < request.count; ++i) {
        PirqBinding& b = domain.irqs->bindings[pirq.raw() + i];
        b.irq = first + i;
        b.source = source;
        b.log2_messages = static_cast<u8>(std::countr_zero(request.count));
        b.message = static_cast<u8>(i);
        b.mapped = true;
        irq::set_message_hook(b.irq, on_message, &b);
    }
    write_message(domain.irqs->bindings[pirq.raw()]);
    return pirq;
}

Result<> unmap(Domain& domain, Pirq pirq) {
    PirqBinding* b = find(domain, pirq);
    if (!b) return fail(Errno::EINVAL);
    if (b->port.load() != 0) return fail(Errno::EBUSY);
    b->mapped = false;
    if (!is_msi(*b)) return {};
    irq::set_message_hook(b->irq, nullptr, nullptr);
    // Consecutive messages go one by one; the device is silenced with the first.
    if (b->message == 0) msi::disable(b->source);
    irq::destroy_msi(b->irq);
    b->source = {};
    b->message = b->log2_messages = 0;
    return {};
}

Result<> permit(Domain& domain, Pirq pirq, bool allow) {
    if (allow) TRY(create(domain));
    if (!domain.irqs) return {};
    if (pirq.raw() >= domain.irqs->count) return fail(Errno::EINVAL);
    domain.irqs->bindings[pirq.raw()].permitted = allow;
    return {};
}

bool permitted(const Domain& domain, Pirq pirq) {
    return domain.privileged ||
           (domain.irqs && pirq.raw() < domain.irqs->count && domain.irqs->bindings[pirq.raw()].permitted);
}

Result<> may_bind(const Domain& domain, Pirq pirq) {
    const PirqBinding* b = find(domain, pirq);
    if (!b) return fail(Errno::EINVAL);
    if (!permitted(domain, pirq)) return fail(Errno::EPERM);
    return b->port.load() == 0 ? Result<>{} : fail(Errno::EEXIST);
}

Result<> bind_event(Domain& domain, Pirq pirq, EvtchnPort port) {
    PirqBinding* b = find(domain, pirq);
    if (!b) return fail(Errno::EINVAL);
    TRY(irq::bind_guest(b->irq, on_interrupt, b));
    b->port.store(port.raw(), std::memory_order_release);
    set_eoi_bit(*domain.irqs, pirq.raw(), irq::needs_eoi(b->irq));
    if (is_msi(*b)) {
        write_message(*b);
        msi::set_mask(b->source, false);
    }
    irq::unmask(b->irq);
    return {};
}

void unbind_event(Domain& domain, Pirq pirq) {
    PirqBinding* b = find(domain, pirq);
    if (!b || b->port.load() == 0) return;
    if (is_msi(*b) && b->source.table) msi::set_mask(b->source, true);
    irq::unbind(b->irq);
    b->port.store(0);
    set_eoi_bit(*domain.irqs, pirq.raw(), false);
}

void follow_vcpu(Domain& domain, Pirq pirq, const Vcpu& vcpu) {
    if (const PirqBinding* b = find(domain, pirq); b && b->port.load() != 0)
        irq::route(b->irq, CpuId(vcpu.sched.cpu.load(std::memory_order_relaxed)));
}

Result<> eoi(Domain& domain, Pirq pirq) {
    LockGuard guard(domain.event_lock);
    const PirqBinding* b = find(domain, pirq);
    if (!b || b->port.load() == 0) return fail(Errno::EINVAL);
    if (domain.irqs->auto_unmask) {
        const EvtchnPort number(b->port.load());
        if (evtchn::Port* port = domain.ports->find(number)) events::unmask(domain, *port, number);
    }
    irq::guest_eoi(b->irq);
    return {};
}

Result<u32> status(const Domain& domain, Pirq pirq) {
    if (!domain.irqs || pirq.raw() >= domain.irqs->count) return fail(Errno::EINVAL);
    const PirqBinding* b = find(domain, pirq);
    if (!b || is_msi(*b) || !irq::needs_eoi(b->irq)) return 0u;
    return u32{XENIRQSTAT_needs_eoi | XENIRQSTAT_shared};
}

Result<> set_eoi_map(Domain& domain, Mfn frame, bool auto_unmask) {
    mm::PageInfo* page = mm::page_of(frame);
    if (!page || !domain.irqs) return fail(Errno::EINVAL);
    LockGuard guard(domain.event_lock);
    if (domain.irqs->eoi_map) return fail(Errno::EBUSY);
    TRY(mm::get_page_and_type(*page, domain.id, mm::PageType::writable));
    domain.irqs->auto_unmask = auto_unmask;
    domain.irqs->eoi_map = mm::page_memory<u8>(*page);
    for (u32 i = 0; i < domain.irqs->count; ++i) {
        const PirqBinding* b = find(domain, Pirq(i));
        set_eoi_bit(*domain.irqs, i, b && b->port.load() != 0 && irq::needs_eoi(b->irq));
    }
    return {};
}

Result<> restore_msi(Domain& domain, pci::Address device) {
    if (!domain.irqs) return fail(Errno::ENODEV);
    LockGuard guard(domain.event_lock);
    bool any = false;
    for (u32 i = 0; i < domain.irqs->count; ++i) {
        const PirqBinding* b = find(domain, Pirq(i));
        if (!b || !is_msi(*b) || !(b->source.device == device)) continue;
        any = true;
        write_message(*b);
        msi::set_mask(b->source, b->port.load() == 0);
    }
    return any ? Result<>{} : fail(Errno::ENODEV);
}

} // namespace streak::pirqs
