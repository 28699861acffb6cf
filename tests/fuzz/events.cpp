// SPDX-License-Identifier: GPL-2.0-only

// Two domains with two vCPUs each make, connect, use and close ports, with two-level and FIFO delivery. Guests take their
// events, or write rubbish to what they share, between any two accesses of the hypervisor. Both port tables are as a model
// has them, and a guest that keeps to the ABI gets each event, once.

#include "input.hpp"
#include "racing.hpp"

#include "../unit/test_memory.hpp"
#include "evtchn/delivery_2l.cpp"
#include "evtchn/delivery_fifo.cpp"
#include "evtchn/port_table.hpp"

using namespace streak;
using namespace streak::evtchn;
using fuzz::require;

namespace {

fuzz::Fault lost_event("lost-event"), event_twice("event-twice"), one_sided("one-sided-close");

constexpr u32 vcpus = 2, control_offset = 64;
constexpr u32 word_pending = 1u << EVTCHN_FIFO_PENDING, word_masked = 1u << EVTCHN_FIFO_MASKED,
              word_linked = 1u << EVTCHN_FIFO_LINKED, word_link = EVTCHN_FIFO_LINK_MASK;

/// Memory of a guest's; the sanitizer knows where it ends.
using Page = std::unique_ptr<u8[]>;
[[nodiscard]] Page make_page() { return std::make_unique<u8[]>(page_size); }

/// The guest's side of delivery, as Linux does it: one step of a vCPU's handler at a time.
struct Guest {
    shared_info_t shared{};
    Page control[vcpus];
    std::vector<Page> words;
    bool fifo = false;
    bool upcall[vcpus]{};
    u32 ready[vcpus]{}, heads[vcpus][EVTCHN_FIFO_MAX_QUEUES]{};
    u64 selected[vcpus]{};

    [[nodiscard]] evtchn_fifo_control_block_t& block(u32 v) {
        return *reinterpret_cast<evtchn_fifo_control_block_t*>(control[v].get() + control_offset);
    }
    [[nodiscard]] u32* word(u32 port) {
        return port / 1024 < words.size() ? reinterpret_cast<u32*>(words[port / 1024].get()) + port % 1024 : nullptr;
    }
    [[nodiscard]] bool idle(u32 v) const { return !upcall[v] && ready[v] == 0 && selected[v] == 0; }

    [[nodiscard]] bool masked(u32 port) {
        if (fifo) return !word(port) || (*word(port) & word_masked);
        return port >= 4096 || (shared.evtchn_mask[port / 64] >> port % 64 & 1);
    }
    [[nodiscard]] bool pending(u32 port) {
        if (fifo) return word(port) && (*word(port) & word_pending);
        return port < 4096 && (shared.evtchn_pending[port / 64] >> port % 64 & 1);
    }
    void mask(u32 port) {
        if (!fifo && port < 4096) shared.evtchn_mask[port / 64] |= 1ull << port % 64;
        if (fifo && word(port)) *word(port) |= word_masked;
    }

    /// One step; `take(port)` for an event that is handled.
    template <class Take> void step(u32 v, Take take) {
        if (fifo) step_fifo(v, take);
        else step_2l(v, take);
    }

private:
    template <class Take> void step_fifo(u32 v, Take take) {
        upcall[v] = false;
        if (!control[v]) return;
        ready[v] |= std::exchange(block(v).ready, 0);
        if (ready[v] == 0) return;
        const u32 q = static_cast<u32>(std::countr_zero(ready[v]));
        u32& head = heads[v][q];
        if (head == 0) head = block(v).head[q];
        const u32 port = head;
        u32* const at = word(port);
        require(at != nullptr);
        head = *at & word_link;
        *at &= ~(word_linked | word_link);
        if (head == 0) ready[v] &= ~(1u << q);
        if ((*at & word_pending) && !(*at & word_masked)) {
            *at &= ~word_pending;
            take(port);
        }
    }

    template <class Take> void step_2l(u32 v, Take take) {
        upcall[v] = false;
        selected[v] |= std::exchange(shared.vcpu_info[v].evtchn_pending_sel, 0);
        if (selected[v] == 0) return;
        const u32 w = static_cast<u32>(std::countr_zero(selected[v]));
        const u64 open = shared.evtchn_pending[w] & ~shared.evtchn_mask[w];
        if (open == 0) {
            selected[v] &= selected[v] - 1;
            return;
        }
        const u32 bit = static_cast<u32>(std::countr_zero(open));
        shared.evtchn_pending[w] &= ~(1ull << bit);
        take(w * 64 + bit);
    }
};

/// What a port is said to be.
struct Bound {
    PortState state = PortState::free;
    u32 domain = 0, detail = 0, vcpu = 0;
    friend bool operator==(const Bound&, const Bound&) = default;
};

/// A domain: the hypervisor's state of it, its guest, and the model of both.
struct Domain {
    DomId id;
    PortTable ports;
    std::unique_ptr<Fifo> fifo;
    Guest guest;
    std::map<u32, Bound> model;
    std::map<u32, u32> due; ///< raised and not taken by the guest yet: ports, with the vCPUs that are to take them
    u32 raising = 0;        ///< an event of this port is under way
    bool taken = false;     ///< ... and was taken already
    bool hostile = false;   ///< wrote rubbish: it may lose what it likes

    Domain(DomId d, u32 highest) : id(d), ports(test::memory, highest) {}

    [[nodiscard]] bool busy(EvtchnPort port) const { return fifo && fifo->is_busy(port); }

    static constexpr u32 any_vcpu = ~0u;

    void handle(u32 port, u32 vcpu) {
        const auto found = due.find(port);
        if (found == due.end()) require(port == raising && !taken);
        else require(found->second == vcpu || found->second == any_vcpu || !fifo);
        if (found != due.end()) due.erase(found);
        if (port == raising) taken = true;
    }
    void run(u32 vcpu) {
        if (!hostile) guest.step(vcpu, [&](u32 port) { handle(port, vcpu); });
    }
    /// The port moves: who takes its event depends on when it was queued.
    void moved(u32 port) {
        if (const auto found = due.find(port); found != due.end()) found->second = any_vcpu;
    }

    void deliver(u32 vcpu, Raised raised) {
        if (raised.upcall && !lost_event) guest.upcall[vcpu] = true;
    }

    // What domain/notify.cpp does with a port in use.

    void raise(EvtchnPort number) {
        Port& port = *ports.find(number);
        raising = number.raw();
        taken = false;
        if (fifo) deliver(port.vcpu, fifo->raise(port, number));
        else if (number.raw() < PortTable::max_2level)
            deliver(port.vcpu, two_level::raise(guest.shared, &guest.shared.vcpu_info[port.vcpu], number));
        raising = 0;
        if (hostile) return;
        const bool waits = fifo && port.raised_early;
        require(guest.pending(number.raw()) || taken || waits || (!fifo && number.raw() >= PortTable::max_2level));
        const bool queued = !waits && !guest.masked(number.raw());
        if (guest.pending(number.raw()) || waits) due.try_emplace(number.raw(), queued ? u32{port.vcpu} : any_vcpu);
        if (event_twice) due.erase(number.raw());
    }
    void unmask(EvtchnPort number) {
        Port& port = *ports.find(number);
        moved(number.raw());
        if (fifo) deliver(port.vcpu, fifo->unmask(port, number));
        else if (number.raw() < PortTable::max_2level)
            deliver(port.vcpu, two_level::unmask(guest.shared, &guest.shared.vcpu_info[port.vcpu], number));
    }
    void clear_pending(EvtchnPort number) {
        if (fifo) fifo->clear_pending(*ports.find(number), number);
        else if (number.raw() < PortTable::max_2level) two_level::clear_pending(guest.shared, number);
        due.erase(number.raw());
    }
};

struct World {
    fuzz::Input input;
    Domain a{DomId(1), 0}, b{DomId(2), 90};

    World(const std::uint8_t* data, std::size_t bytes) : input(data, bytes) {}

    Domain& peer(const Domain& d) { return &d == &a ? b : a; }
    Domain& by_id(u32 id) { return id == 1 ? a : b; }

    /// Some port number, in use or not.
    [[nodiscard]] u32 some_port(Domain& d) {
        const u32 n = input.byte();
        if (n == 0xff) return input.word();
        if (n < 16 || d.model.empty()) return n;
        auto it = d.model.begin();
        std::advance(it, n % std::min<std::size_t>(d.model.size(), 200));
        return it->first;
    }

    [[nodiscard]] static u32 lowest_free(const Domain& d) {
        u32 lowest = 1;
        while (lowest < d.ports.limit() && (d.model.contains(lowest) || d.busy(EvtchnPort(lowest)))) ++lowest;
        return lowest;
    }
    /// The lowest free port was taken as `bound`, or there was a reason. `free`: the lowest one before; guests only unlink.
    void took(Domain& d, Result<EvtchnPort> port, const Bound& bound, u32 free) {
        if (!port) {
            require(port.error() == Errno::ENOMEM || (port.error() == Errno::ENOSPC && free == d.ports.limit()));
            return;
        }
        require(d.hostile || (lowest_free(d) <= port->raw() && port->raw() <= free));
        require(!d.model.contains(port->raw()) && port->raw() != 0 && port->raw() < d.ports.limit());
        d.model[port->raw()] = bound;
    }

    void make(Domain& d, unsigned kind) {
        const auto busy = [&d](EvtchnPort p) { return d.busy(p); };
        const u32 free = lowest_free(d);
        const u32 v = input.pick(vcpus), number = input.pick(NR_VIRQS);
        switch (kind) {
        case 0: {
            const DomId remote = input.pick(4) ? peer(d).id : d.id;
            return took(d, d.ports.alloc_unbound(remote, busy), {PortState::unbound, remote.raw(), 0, 0}, free);
        }
        case 1: return took(d, d.ports.bind_ipi(VcpuId(v), busy), {PortState::ipi, 0, 0, v}, free);
        case 2: return took(d, d.ports.bind_virq(number, VcpuId(v), busy), {PortState::virq, 0, number, v}, free);
        case 3: return took(d, d.ports.bind_pirq(number, busy), {PortState::pirq, 0, number, 0}, free);
        }
    }

    /// So many that their event words are in several pages.
    void make_many(Domain& d) {
        while (d.model.size() < 1100) {
            const auto port = d.ports.alloc_unbound(peer(d).id, [](EvtchnPort) { return false; });
            if (!port) return;
            d.model[port->raw()] = {PortState::unbound, peer(d).id.raw(), 0, 0};
        }
    }

    void connect(Domain& d) {
        const auto busy = [&d](EvtchnPort p) { return d.busy(p); };
        Domain& remote = input.pick(4) ? peer(d) : d;
        const u32 there = some_port(remote);
        const auto found = remote.model.find(there);
        const bool waits = found != remote.model.end() && found->second.state == PortState::unbound &&
                           found->second.domain == d.id.raw();
        const u32 free = lowest_free(d);
        const auto port = PortTable::connect(d.ports, d.id, remote.ports, remote.id, EvtchnPort(there), busy);
        if (!waits) return require(!port && port.error() == Errno::EINVAL);
        took(d, port, {PortState::interdomain, remote.id.raw(), there, 0}, free);
        if (!port) return;
        Bound& far = remote.model[there];
        far = {PortState::interdomain, d.id.raw(), port->raw(), far.vcpu};
        d.raise(*port);
    }

    void close(Domain& d, u32 number) {
        const auto found = d.model.find(number);
        if (found == d.model.end()) return require(d.ports.close(EvtchnPort(number)).error() == Errno::EINVAL);
        d.clear_pending(EvtchnPort(number));
        const Bound was = found->second;
        d.model.erase(found);
        const auto closed = d.ports.close(EvtchnPort(number));
        require(closed && closed->state == was.state);
        if (was.state != PortState::interdomain) return;
        Domain& far = by_id(was.domain);
        if (const auto other = far.model.find(was.detail); other != far.model.end())
            other->second = {PortState::unbound, d.id.raw(), 0, other->second.vcpu};
        if (!one_sided) far.ports.disconnect(closed->remote_port, d.id);
    }

    /// EVTCHNOP_send, or an interrupt.
    void send(Domain& d, u32 number) {
        const auto found = d.model.find(number);
        if (found == d.model.end() || found->second.state == PortState::unbound) return;
        if (found->second.state == PortState::interdomain)
            by_id(found->second.domain).raise(EvtchnPort(found->second.detail));
        else d.raise(EvtchnPort(number));
    }

    void set_up_fifo(Domain& d) {
        if (d.fifo) return expand(d);
        auto fifo = std::make_unique<Fifo>(test::memory, vcpus);
        if (!fifo->init()) return;
        for (u32 n = 1; n < std::min(d.ports.allocated(), PortTable::max_2level); ++n)
            if (Port* port = d.ports.find(EvtchnPort(n)))
                port->raised_early = two_level::is_pending(d.guest.shared, EvtchnPort(n));
        d.fifo = std::move(fifo);
        d.ports.use_fifo(true);
        d.guest.fifo = true;
        for (u32 v = 0; v < vcpus; ++v) {
            d.guest.selected[v] = d.guest.upcall[v] = 0;
            d.guest.control[v] = make_page();
            d.fifo->set_control(VcpuId(v), d.guest.control[v].get(), control_offset);
        }
    }
    void expand(Domain& d) {
        if (d.fifo->array_full(d.ports.limit())) return;
        d.guest.words.push_back(make_page());
        const u32 first = d.fifo->page_count() * Fifo::words_per_page;
        if (input.pick(2)) std::fill_n(d.guest.word(first), Fifo::words_per_page, word_masked); // as Linux has them
        d.fifo->add_page(d.guest.words.back().get());
        for (u32 n = first; n < first + Fifo::words_per_page; ++n)
            if (Port* port = d.ports.find(EvtchnPort(n)); port && std::exchange(port->raised_early, false)) {
                d.due.erase(n);
                d.raise(EvtchnPort(n));
            }
    }

    /// EVTCHNOP_reset: the guest begins anew.
    void reset(Domain& d) {
        while (!d.model.empty()) close(d, d.model.begin()->first);
        d.fifo.reset();
        d.ports.use_fifo(false);
        d.guest = Guest{};
        d.hostile = false;
        require(d.due.empty());
    }

    void change_port(Domain& d, u32 number) {
        const auto found = d.model.find(number);
        if (input.pick(2)) {
            const u32 priority = input.pick(20);
            require(d.ports.set_priority(EvtchnPort(number), priority).has_value() ==
                    (found != d.model.end() && priority < EVTCHN_FIFO_MAX_QUEUES));
            return;
        }
        const u32 v = input.pick(vcpus);
        const bool bound = d.ports.bind_vcpu(EvtchnPort(number), VcpuId(v)).has_value();
        require(found != d.model.end() || !bound);
        if (!bound) return;
        found->second.vcpu = v;
        d.moved(number);
    }

    /// The guest writes where it shouldn't.
    void scribble(Domain& d) {
        d.hostile = true;
        d.due.clear();
        const u32 value = input.word();
        switch (input.pick(6)) {
        case 0: d.guest.shared.evtchn_pending[value % 64] ^= value; return;
        case 1: d.guest.shared.evtchn_mask[value % 64] ^= value; return;
        case 2: d.guest.shared.vcpu_info[value % vcpus].evtchn_pending_sel = value; return;
        default: break;
        }
        if (!d.fifo) return;
        if (input.pick(4) == 0) {
            auto& block = d.guest.block(input.pick(vcpus));
            (input.pick(2) ? block.ready : block.head[input.pick(EVTCHN_FIFO_MAX_QUEUES)]) = value;
        } else if (u32* word = d.guest.word(input.byte())) {
            *word = input.pick(3) ? *word ^ (1u << value % 32) : value;
        }
    }

    void guests_run() {
        const unsigned kind = input.byte();
        Domain& d = kind & 1 ? a : b;
        if (kind < 240) {
            for (unsigned i = kind / 4 % 8; i-- > 0;) d.run(kind >> 1 & 1);
        } else if (d.hostile) {
            scribble(d);
        }
    }

    void step() {
        const unsigned kind = input.byte();
        Domain& d = kind & 1 ? a : b;
        switch (kind / 2 % 16) {
        case 0: return make(d, input.pick(4));
        case 1: return connect(d);
        case 2: return close(d, some_port(d));
        case 3: return set_up_fifo(d);
        case 4: return change_port(d, some_port(d));
        case 5: return d.guest.mask(some_port(d));
        case 6:
            if (const u32 number = some_port(d); d.ports.find(EvtchnPort(number))) d.unmask(EvtchnPort(number));
            return;
        case 7: return guests_run();
        case 8: return scribble(d);
        case 9: return input.pick(8) == 7 ? reset(d) : void();
        case 10: return input.pick(8) == 7 ? make_many(d) : guests_run();
        case 11: {
            test::OutOfMemoryAfter none(input.pick(2));
            return make(d, 0);
        }
        default: return send(d, some_port(d));
        }
    }

    /// The port tables are as the model has them.
    void check(Domain& d) {
        for (u32 n = 0; n < d.ports.allocated(); ++n) {
            const auto found = d.model.find(n);
            const Port* port = d.ports.find(EvtchnPort(n));
            require((port != nullptr) == (found != d.model.end()));
            if (!port) continue;
            const bool pair = port->state == PortState::interdomain;
            const u32 domain = pair || port->state == PortState::unbound ? port->remote_domain.raw() : 0;
            require(Bound{port->state, domain, port->detail, port->vcpu} == found->second);
            if (!pair) continue;
            const auto far = by_id(domain).model.find(port->detail);
            require(far != by_id(domain).model.end() && far->second.state == PortState::interdomain &&
                    far->second.domain == d.id.raw() && far->second.detail == n);
        }
    }

    /// Guests that are told of events take them all.
    void settle(Domain& d) {
        if (d.hostile) return;
        for (u32 v = 0; v < vcpus; ++v)
            for (unsigned steps = 0; !d.guest.idle(v); ++steps) {
                require(steps < 1'000'000);
                d.run(v);
            }
        for (const auto& [port, vcpu] : d.due) require(d.guest.masked(port));
    }

    void run() {
        for (unsigned steps = 0; !input.empty() && steps < 400; ++steps) {
            unsigned quiet = input.pick(32); // accesses before the guests do something
            fuzz::meanwhile = [&] {
                if (input.empty() || quiet-- != 0) return;
                guests_run();
                quiet = input.pick(8);
            };
            step();
            fuzz::meanwhile = {};
            check(a), check(b);
            if (input.pick(8) == 7) settle(a), settle(b);
        }
        settle(a), settle(b);
        reset(a), reset(b);
        check(a), check(b);
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const i64 before = test::live_bytes;
    std::make_unique<World>(data, bytes)->run();
    require(test::live_bytes == before);
    return 0;
}
