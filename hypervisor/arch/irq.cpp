// SPDX-License-Identifier: GPL-2.0-only
#include "arch/irq.hpp"

#include <utility>

#include "arch/ioapic.hpp"
#include "arch/lapic.hpp"
#include "arch/smp.hpp"
#include "arch/vectors.hpp"
#include "lib/log.hpp"
#include "lib/spinlock.hpp"

namespace streak::irq {

namespace {

constexpr u32 max_irqs = 512;
constexpr u16 no_irq = 0xffff;

struct Descriptor {
    SpinLock lock; ///< covers all but `running`
    bool exists = false, msi = false, bound = false, guest = false;
    bool level = false, active_low = false;
    bool masked = true, in_service = false;
    bool missed = false; ///< an MSI came while masked
    Vector vector{};
    CpuId cpu{};
    Handler handler = nullptr;
    void* context = nullptr;
    void (*hook)(Irq, const MsiMessage&, void*) = nullptr;
    void* hook_context = nullptr;
    std::atomic<u32> running{0}; ///< CPUs inside the handler
    u64 count = 0;
};

struct Override {
    bool present, level, active_low;
    u32 gsi;
};

constinit std::array<Descriptor, max_irqs> descriptors{};
constinit std::array<Override, 16> overrides{};
constinit u32 gsis = 0;
constinit std::atomic<u32> highest{0}; ///< Irqs that ever existed

constinit SpinLock allocation_lock; ///< MSI slots and vectors; taken alone or inside no descriptor's lock
constinit std::array<std::atomic<u16>, 256> irq_of_vector{};
constinit unsigned next_vector = arch::first_device_vector;

Descriptor* find(Irq irq) {
    return irq.raw() < max_irqs && descriptors[irq.raw()].exists ? &descriptors[irq.raw()] : nullptr;
}

bool vector_free(unsigned vector) {
    return vector >= arch::first_device_vector && vector <= arch::last_device_vector &&
           vector != arch::legacy_syscall_vector && vector != arch::hypercall_vector &&
           irq_of_vector[vector].load(std::memory_order_relaxed) == no_irq;
}

/// Takes `count` consecutive vectors, aligned to `count`, for Irqs from `first`. 0: none left.
unsigned take_vectors(u32 first, unsigned count) {
    constexpr unsigned span = arch::last_device_vector + 1 - arch::first_device_vector;
    for (unsigned tried = 0; tried < span; ++tried) {
        const unsigned base = arch::first_device_vector + (next_vector - arch::first_device_vector + tried) % span;
        bool fits = base % count == 0;
        for (unsigned i = 0; fits && i < count; ++i) fits = vector_free(base + i);
        if (!fits) continue;
        for (unsigned i = 0; i < count; ++i)
            irq_of_vector[base + i].store(static_cast<u16>(first + i), std::memory_order_release);
        next_vector = base + count > arch::last_device_vector ? arch::first_device_vector : base + count;
        return base;
    }
    return 0;
}

ApicId apic_of(CpuId cpu) { return arch::percpu(cpu).apic_id; }

/// Brings the I/O APIC in line with the descriptor.
void program(Irq irq, const Descriptor& d) {
    if (!d.msi) ioapic::write(irq.raw(), {d.vector, apic_of(d.cpu), d.level, d.active_low, d.masked || d.in_service});
}

Result<> bind(Irq irq, Handler handler, void* context, bool guest) {
    Descriptor* d = find(irq);
    if (d == nullptr) return fail(Errno::ENODEV);
    LockGuard allocation(allocation_lock);
    if (d->bound) return fail(Errno::EBUSY);
    if (d->vector.raw() == 0) {
        const unsigned vector = take_vectors(irq.raw(), 1);
        if (vector == 0) return fail(Errno::ENOSPC);
        d->vector = Vector(static_cast<u8>(vector));
    }
    LockGuard guard(d->lock);
    d->bound = true;
    d->guest = guest;
    d->handler = handler;
    d->context = context;
    d->masked = true;
    d->in_service = d->missed = false;
    program(irq, *d);
    return {};
}

/// Runs the handler of a descriptor that the caller has locked, without the lock.
void run_handler(Irq irq, Descriptor& d) {
    const Handler handler = d.handler;
    void* context = d.context;
    d.running.fetch_add(1);
    d.lock.unlock();
    if (handler != nullptr) handler(irq, context);
    d.running.fetch_sub(1);
}

} // namespace

u32 gsi_count() { return gsis; }
u32 irq_count() { return highest.load(std::memory_order_relaxed); }

Result<Irq> gsi_to_irq(u32 gsi) {
    if (gsi >= gsis || !ioapic::has_line(gsi)) return fail(Errno::ENODEV);
    return Irq(gsi);
}

u32 isa_to_gsi(u8 isa_line) {
    return isa_line < overrides.size() && overrides[isa_line].present ? overrides[isa_line].gsi : isa_line;
}

void add_override(u8 isa_line, u32 gsi, bool level, bool active_low) {
    if (isa_line < overrides.size()) overrides[isa_line] = {true, level, active_low, gsi};
}

void init() {
    for (auto& entry : irq_of_vector) entry.store(no_irq, std::memory_order_relaxed);
    gsis = std::min(ioapic::line_count(), max_irqs / 2);
    highest = gsis;
    for (u32 gsi = 0; gsi < gsis; ++gsi) {
        Descriptor& d = descriptors[gsi];
        d.exists = ioapic::has_line(gsi);
        d.level = d.active_low = gsi >= 16; // ISA lines: edge, active high; PCI lines: level, active low
    }
    for (const Override& o : overrides)
        if (o.present && o.gsi < gsis) {
            descriptors[o.gsi].level = o.level;
            descriptors[o.gsi].active_low = o.active_low;
        }
}

Result<> set_gsi_mode(u32 gsi, bool level, bool active_low) {
    TRY_ASSIGN(irq, gsi_to_irq(gsi));
    Descriptor& d = descriptors[irq.raw()];
    LockGuard guard(d.lock);
    if (d.level == level && d.active_low == active_low) return {};
    if (d.bound) return fail(Errno::EBUSY);
    d.level = level;
    d.active_low = active_low;
    return {};
}

Result<Irq> create_msi(unsigned count) {
    if (count == 0 || count > 32 || (count & (count - 1)) != 0) return fail(Errno::EINVAL);
    LockGuard guard(allocation_lock);
    unsigned run = 0;
    for (u32 i = gsis; i < max_irqs; ++i) {
        run = descriptors[i].exists ? 0 : run + 1;
        if (run < count) continue;
        const u32 first = i + 1 - count;
        const unsigned vector = take_vectors(first, count);
        if (vector == 0) return fail(Errno::ENOSPC);
        for (unsigned k = 0; k < count; ++k) {
            Descriptor& d = descriptors[first + k];
            d.msi = d.exists = d.masked = true;
            d.level = d.bound = d.in_service = d.missed = false;
            d.vector = Vector(static_cast<u8>(vector + k));
            d.cpu = CpuId(0);
            d.count = 0;
            d.hook = nullptr;
        }
        if (first + count > highest) highest = first + count;
        return Irq(first);
    }
    return fail(Errno::ENOSPC);
}

void destroy_msi(Irq first, unsigned count) {
    LockGuard guard(allocation_lock);
    for (unsigned k = 0; k < count; ++k) {
        Descriptor* d = find(first + k);
        if (d == nullptr || !d->msi || d->bound) continue;
        irq_of_vector[d->vector.raw()].store(no_irq, std::memory_order_release);
        d->vector = Vector(0);
        d->exists = false;
    }
}

MsiMessage msi_message(Irq irq) {
    const Descriptor* d = find(irq);
    if (d == nullptr) return {};
    return {0xfee00000ull | static_cast<u64>(apic_of(d->cpu).raw() & 0xff) << 12, d->vector.raw()};
}

void set_message_hook(Irq irq, void (*hook)(Irq, const MsiMessage&, void*), void* context) {
    if (Descriptor* d = find(irq)) {
        LockGuard guard(d->lock);
        d->hook = hook;
        d->hook_context = context;
    }
}

Result<> bind_guest(Irq irq, Handler handler, void* context) { return bind(irq, handler, context, true); }
Result<> bind_hypervisor(Irq irq, Handler handler, void* context) { return bind(irq, handler, context, false); }

void unbind(Irq irq) {
    Descriptor* d = find(irq);
    if (d == nullptr) return;
    {
        LockGuard allocation(allocation_lock);
        LockGuard guard(d->lock);
        if (!d->bound) return;
        d->masked = true;
        program(irq, *d);
        d->bound = d->in_service = false;
        d->handler = nullptr;
        if (!d->msi) { // an MSI's vector goes with its slot
            irq_of_vector[d->vector.raw()].store(no_irq, std::memory_order_release);
            d->vector = Vector(0);
        }
    }
    while (d->running.load() != 0) spin_wait();
}

void route(Irq irq, CpuId cpu) {
    Descriptor* d = find(irq);
    if (d == nullptr) return;
    if (!smp::online().test(cpu) || apic_of(cpu).raw() >= 0xff) cpu = CpuId(0);
    d->lock.lock();
    if (d->cpu == cpu) {
        d->lock.unlock();
        return;
    }
    d->cpu = cpu;
    if (d->bound) program(irq, *d);
    const auto hook = d->hook;
    void* context = d->hook_context;
    d->lock.unlock();
    if (d->msi && hook != nullptr) hook(irq, msi_message(irq), context);
}

void unmask(Irq irq) {
    Descriptor* d = find(irq);
    if (d == nullptr) return;
    d->lock.lock();
    if (!d->bound || !d->masked) {
        d->lock.unlock();
        return;
    }
    d->masked = false;
    if (!d->msi && !d->in_service) ioapic::set_mask(irq.raw(), false);
    const bool missed = std::exchange(d->missed, false);
    if (missed) run_handler(irq, *d);
    else d->lock.unlock();
}

void guest_eoi(Irq irq) {
    Descriptor* d = find(irq);
    if (d == nullptr) return;
    LockGuard guard(d->lock);
    if (!d->in_service) return;
    d->in_service = false;
    if (!d->masked) ioapic::set_mask(irq.raw(), false);
}

bool needs_eoi(Irq irq) {
    const Descriptor* d = find(irq);
    return d != nullptr && !d->msi && d->level;
}

Info info(Irq irq) {
    const Descriptor* d = find(irq);
    if (d == nullptr) return {};
    return {true, d->bound, d->guest, d->level, d->active_low, d->masked, d->in_service, d->vector, d->cpu, d->count};
}

void dispatch(Vector vector) {
    const u16 number = irq_of_vector[vector.raw()].load(std::memory_order_acquire);
    Descriptor* d = number == no_irq ? nullptr : &descriptors[number];
    if (d == nullptr) {
        lapic::eoi();
        log_debug("stray interrupt, vector {:#x}", vector);
        return;
    }
    const Irq irq(number);
    d->lock.lock();
    ++d->count;
    const bool hold = d->level && d->guest;
    if (hold && d->bound) {
        d->in_service = true;
        ioapic::set_mask(number, true);
    }
    if (!d->level || hold) lapic::eoi();
    if (!d->bound || d->masked) {
        d->missed = d->msi && d->bound;
        d->lock.unlock();
        if (d->level && !hold) lapic::eoi();
        return;
    }
    run_handler(irq, *d);
    if (d->level && !hold) lapic::eoi();
}

} // namespace streak::irq
