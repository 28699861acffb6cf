// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/modules/fuzz/fuzzer.hpp"

#include <cstddef>

#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

namespace fuzz {

namespace {

constexpr unsigned most_rows = 160;
struct Count {
    u64 made, succeeded;
};
constinit Count counts[most_rows] = {};
constinit u32 complaints = 0;

void add(u64& to, u64 n) { __atomic_fetch_add(&to, n, __ATOMIC_RELAXED); }
Count& count_of(const Operation& op) { return counts[&op - operations.data()]; }

/// A call, ready to be made.
struct Call {
    const Operation* op;
    u64 a[6];
    u8* structure; ///< what the fields were written to
    unsigned elements;
    bool elsewhere = false; ///< the hypervisor was led to something else
};

void complain(const Call& call, long result, std::string_view what) {
    if (__atomic_fetch_add(&complaints, 1, __ATOMIC_RELAXED) >= 8) return;
    Line() << "FAIL: " << call.op->name << "(" << Hex{call.a[0]} << ", " << Hex{call.a[1]} << ", " << Hex{call.a[2]}
           << ", " << Hex{call.a[3]} << ") gives " << result << ": " << what;
}

void write_field(u8* structure, const Field& field, u64 value) { memcpy(structure + field.offset, &value, field.size); }

void fill(Player& p, const Operation& op, u8* structure) {
    for (const Field& field : op.fields) write_field(structure, field, choose(p, field.kind, field.parameter));
    if (!p.one_in(16) || op.fields.empty()) return;
    const Field& odd = op.fields[p.random.below(static_cast<unsigned>(op.fields.size()))];
    const bool harmless = odd.kind == Kind::bits || odd.kind == Kind::small || odd.kind == Kind::flags ||
                          odd.kind == Kind::dom || odd.kind == Kind::ref || odd.kind == Kind::port ||
                          odd.kind == Kind::handle;
    if (harmless)
        write_field(structure, odd, p.one_in(2) ? ~p.random.next() >> p.random.below(64) : p.random.below(70));
}

/// One element, or a list.
Call prepare(Player& p, const Operation& op, unsigned elements = 1) {
    Call call{&op, {}, nullptr, elements};
    if (op.form == Form::registers) {
        call.structure = reinterpret_cast<u8*>(call.a);
        u8 values[48] = {};
        fill(p, op, values);
        memcpy(call.a, values, sizeof values);
        return call;
    }
    call.structure = p.room(op.size * elements);
    memset(call.structure, 0, op.size * elements);
    for (unsigned i = 0; i < elements; ++i) fill(p, op, call.structure + i * op.size);
    const u64 pointer = std::bit_cast<u64>(call.structure);
    switch (op.form) {
    case Form::command_pointer: call.a[0] = op.command, call.a[1] = pointer; break;
    case Form::command_list: call.a[0] = op.command, call.a[1] = pointer, call.a[2] = elements; break;
    case Form::command_vcpu:
        call.a[0] = op.command,
        call.a[1] = op.weight == 0 || op.command == VCPUOP_register_vcpu_info || op.command == VCPUOP_initialise
                        ? choose(p, Kind::spare_vcpu, 0)
                        : choose(p, Kind::vcpu, 0);
        call.a[2] = pointer;
        break;
    case Form::pointer: call.a[0] = pointer; break;
    case Form::list: call.a[0] = pointer, call.a[1] = elements, call.a[3] = DOMID_SELF; break;
    case Form::registers: break;
    }
    return call;
}

/// Now and then the structure is not where it should be, or there are more of them than are there.
void spoil(Player& p, Call& call) {
    const Form form = call.op->form;
    // Zeroes, as might then be read, would be a callback at address 0, or a sleep without end.
    const unsigned number = call.op->hypercall;
    if (form == Form::registers || number == __HYPERVISOR_callback_op || number == __HYPERVISOR_sched_op) return;
    u64& pointer = form == Form::list || form == Form::pointer ? call.a[0]
                   : form == Form::command_vcpu                ? call.a[2]
                                                               : call.a[1];
    if (p.one_in(24)) {
        pointer = bad_pointer(p);
        call.elsewhere = true;
        memset(p.arguments, 0, Player::argument_pages * page_size); // no old elements where it may lead
    } else if (p.one_in(40) && (form == Form::list || form == Form::command_list)) {
        const unsigned used = static_cast<unsigned>(call.structure - p.arguments) + call.elements * call.op->size;
        if (used < Player::argument_pages * page_size)
            memset(p.arguments + used, 0, Player::argument_pages * page_size - used);
        (form == Form::list ? call.a[1] : call.a[2]) = p.random.next() >> p.random.below(64) | 1;
    }
    if (form == Form::list && p.one_in(4)) call.a[2] = choose(p, Kind::out, 8);
    if (form == Form::list && p.one_in(10)) call.a[3] = p.one_in(4) ? p.random.next() : choose(p, Kind::dom, 0);
}

bool succeeded(const Call& call, unsigned element) {
    if (call.op->status_at < 0) return true;
    std::int16_t status;
    memcpy(&status, call.structure + element * call.op->size + call.op->status_at, sizeof status);
    return status == GNTST_okay;
}

/// Books what came of it and remembers what it made.
bool conclude_call(Player& p, const Call& call, long result) {
    Count& count = count_of(*call.op);
    add(count.made, 1);
    // The latter is what stands in the shared page, which this kernel may have scribbled on.
    const bool any_number = call.op->hypercall == __HYPERVISOR_get_debugreg ||
                            (call.op->hypercall == __HYPERVISOR_memory_op && call.op->command == XENMEM_maximum_gpfn);
    if (result < -200 && !any_number) complain(call, result, "neither a value nor an error");
    if ((result < 0 && (result >= -200 || !any_number)) || call.elsewhere) return false;
    bool good = false;
    for (unsigned i = 0; i < call.elements; ++i) {
        if (!succeeded(call, i)) continue;
        good = true;
        if (call.op->note) call.op->note(p, call.structure + i * call.op->size);
    }
    if (good) add(count.succeeded, 1);
    if (good && call.op->forbidden) complain(call, result, "not a domain without privileges");
    return good;
}

long make(const Call& call) {
    u64 rax = call.op->hypercall, rdi = call.a[0], rsi = call.a[1], rdx = call.a[2];
    register u64 r10 asm("r10") = call.a[3];
    register u64 r8 asm("r8") = call.a[4];
    register u64 r9 asm("r9") = call.a[5];
    asm volatile("syscall"
                 : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                 :
                 : "rcx", "r11", "memory", "cc");
    return static_cast<long>(rax);
}

bool carry_out(Player& p, const Call& call) { return conclude_call(p, call, make(call)); }

const Operation& row(std::string_view name) {
    for (const Operation& op : operations)
        if (name == op.name) return op;
    error("the table lacks an operation");
}

const Operation& pick(Player& p) {
    static constinit unsigned total = 0;
    if (total == 0) {
        unsigned sum = 0;
        for (const Operation& op : operations) sum += op.weight;
        total = sum;
    }
    unsigned at = p.random.below(total);
    for (const Operation& op : operations) {
        if (at < op.weight) return op;
        at -= op.weight;
    }
    return operations[0];
}

unsigned some_elements(Player& p, const Operation& op) {
    const bool list = op.form == Form::list || op.form == Form::command_list;
    return list && p.one_in(3) ? 1 + p.random.below(4) : 1;
}

// ---- Sequences: calls that only make sense after others ----

unsigned any_toy(Player& p) { return p.random.below(World::toys - World::clones); }

bool set_home(Player& p, unsigned toy, u64 flags) {
    static const Operation& op = row("update_va_mapping");
    Call call{
        &op, {world.toy_address(toy), flags ? pte(world.mfn[toy], flags) : 0, UVMF_INVLPG | UVMF_ALL}, nullptr, 1};
    return carry_out(p, call);
}

/// A toy leaves its address and goes back to the hypervisor, to another domain, or comes back as another frame.
void give_away(Player& p) {
    static const Operation &decrease = row("memory decrease_reservation"), &exchange = row("memory exchange"),
                           &transfer = row("gnttab transfer");
    const unsigned toy = any_toy(p);
    if (world.mfn[toy] == no_mfn || !set_home(p, toy, 0)) return;
    Call call = prepare(p, p.one_in(3) ? decrease : p.one_in(2) ? transfer : exchange);
    const auto list = [&](u64 value) {
        auto* at = reinterpret_cast<xen_pfn_t*>(p.room(8));
        *at = value;
        return at;
    };
    if (call.op == &decrease) {
        auto& r = *reinterpret_cast<xen_memory_reservation_t*>(call.structure);
        r = {};
        set_xen_guest_handle(r.extent_start, list(world.mfn[toy]));
        r.nr_extents = 1;
        r.domid = DOMID_SELF;
        const long result = make(call);
        if (result == 1) world.mfn[toy] = no_mfn;
        conclude_call(p, call, result == 1 ? 1 : -1);
    } else if (call.op == &exchange) {
        auto& x = *reinterpret_cast<xen_memory_exchange_t*>(call.structure);
        x = {};
        set_xen_guest_handle(x.in.extent_start, list(world.mfn[toy]));
        set_xen_guest_handle(x.out.extent_start, list(world.first_pfn + toy));
        x.in.nr_extents = x.out.nr_extents = 1;
        x.in.domid = x.out.domid = DOMID_SELF;
        carry_out(p, call);
    } else {
        reinterpret_cast<gnttab_transfer_t*>(call.structure)->mfn = world.mfn[toy];
        carry_out(p, call);
    }
    if (world.mfn[toy] != no_mfn) set_home(p, toy, p.one_in(2) ? pte_rw : pte_ro);
}

void take_back(Player& p) {
    static const Operation& populate = row("memory populate_physmap");
    const unsigned toy = any_toy(p);
    if (world.mfn[toy] != no_mfn) return;
    Call call = prepare(p, populate);
    auto& r = *reinterpret_cast<xen_memory_reservation_t*>(call.structure);
    auto* at = reinterpret_cast<xen_pfn_t*>(p.room(8));
    *at = world.first_pfn + toy;
    set_xen_guest_handle(r.extent_start, at);
    r.nr_extents = 1;
    r.extent_order = 0;
    r.mem_flags = 0;
    r.domid = DOMID_SELF;
    const long result = make(call);
    conclude_call(p, call, result == 1 ? 1 : -1);
    if (result != 1) return;
    world.mfn[toy] = *at;
    set_home(p, toy, pte_rw);
}

/// Four toys become a tree of tables, which is pinned at some level.
void make_tree(Player& p) {
    static const Operation &write = row("mmu_update"), &clear = row("mmuext clear_page");
    static const Operation* const pins[] = {&row("mmuext pin_l1"), &row("mmuext pin_l2"), &row("mmuext pin_l3"),
                                            &row("mmuext pin_l4")};
    unsigned toys[5];
    for (unsigned& toy : toys) {
        toy = any_toy(p);
        if (world.mfn[toy] == no_mfn) return;
    }
    const unsigned levels = 1 + p.random.below(4);
    for (unsigned level = 0; level < levels; ++level) {
        Call call = prepare(p, clear);
        reinterpret_cast<mmuext_op_t*>(call.structure)->arg1.mfn = world.mfn[toys[level]];
        if (!carry_out(p, call)) return; // it is in use as something else
        call = prepare(p, write);
        auto& update = *reinterpret_cast<mmu_update_t*>(call.structure);
        update.ptr = world.mfn[toys[level]] << 12 | 8 * p.random.below(6);
        update.val = pte(world.mfn[toys[level == 0 ? 4 : level - 1]], level == 0 && p.one_in(2) ? pte_ro : pte_rw);
        carry_out(p, call);
        if (!set_home(p, toys[level], pte_ro)) return;
    }
    Call call = prepare(p, *pins[levels - 1]);
    reinterpret_cast<mmuext_op_t*>(call.structure)->arg1.mfn = world.mfn[toys[levels - 1]];
    carry_out(p, call);
}

void unpin_one(Player& p) {
    static const Operation& unpin = row("mmuext unpin_table");
    const u64 mfn = world.pinned.pick(p.random);
    if (mfn == 0) return;
    Call call = prepare(p, unpin);
    reinterpret_cast<mmuext_op_t*>(call.structure)->arg1.mfn = mfn;
    carry_out(p, call);
    if (!p.one_in(8)) world.pinned.remove(mfn);
    for (unsigned toy = 0; toy < World::toys - World::clones; ++toy)
        if (world.mfn[toy] == mfn && p.one_in(2)) set_home(p, toy, pte_rw);
}

void write_grant(Player& p) {
    const u32 ref = 8 + p.random.below(56);
    const domid_t domain = static_cast<domid_t>(p.one_in(3) ? world.box->self : p.one_in(2) ? world.box->peer : 0);
    u16 flags = p.one_in(4) ? 0 : static_cast<u16>(GTF_permit_access | (p.one_in(3) ? GTF_readonly : 0));
    if (p.one_in(16)) flags = static_cast<u16>(p.random.next());
    const u64 mfn = p.one_in(16) ? choose(p, Kind::frame, 0) : world.mfn[any_toy(p)];
    if (world.grant_version == 1) {
        auto& entry = reinterpret_cast<grant_entry_v1_t*>(world.grants)[ref];
        entry.domid = domain;
        entry.frame = static_cast<u32>(mfn);
        __atomic_store_n(&entry.flags, flags, __ATOMIC_RELEASE);
    } else {
        auto& entry = reinterpret_cast<grant_entry_v2_t*>(world.grants)[ref];
        entry.hdr.domid = domain;
        entry.full_page.frame = mfn;
        if (p.one_in(4)) {
            flags |= GTF_sub_page;
            entry.sub_page.page_off = static_cast<u16>(p.random.below(4096));
            entry.sub_page.length = static_cast<u16>(p.random.below(4096));
        }
        __atomic_store_n(&entry.hdr.flags, flags, __ATOMIC_RELEASE);
    }
}

/// No entry is in use: the other layout can be chosen.
void change_version(Player& p) {
    static const Operation& op = row("gnttab set_version");
    memset(world.grants, 0, sizeof(Page) * World::grant_frames);
    Call call = prepare(p, op);
    reinterpret_cast<gnttab_set_version_t*>(call.structure)->version = 3 - world.grant_version;
    carry_out(p, call);
}

asm(R"(
    .text
    .globl spare_vcpu_main
spare_vcpu_main:
    leaq spare_vcpu_stack_end(%rip), %rsp
    movl $24, %eax
    movl $2, %edi
    movl %r12d, %esi
    syscall
    jmp spare_vcpu_main
    .bss
    .balign 16
    .skip 4096
    .globl spare_vcpu_stack_end
spare_vcpu_stack_end:
    .text
)");
extern "C" const char spare_vcpu_main[], spare_vcpu_stack_end[];
static_assert(__HYPERVISOR_vcpu_op == 24 && VCPUOP_down == 2);

/// A vCPU that only goes down again, whatever happens to it, comes to life.
void start_spare(Player& p) {
    static const Operation &initialise = row("vcpu initialise"), &up = row("vcpu up"), &down = row("vcpu down");
    Call call = prepare(p, initialise);
    const u64 vcpu = call.a[1];
    auto& context = *reinterpret_cast<vcpu_guest_context_t*>(call.structure);
    memset(&context, 0, sizeof context);
    context.flags = VGCF_IN_KERNEL;
    context.user_regs.rip = std::bit_cast<u64>(&spare_vcpu_main[0]);
    context.user_regs.rsp = std::bit_cast<u64>(&spare_vcpu_stack_end[0]);
    context.user_regs.r12 = vcpu;
    context.event_callback_eip = context.failsafe_callback_eip = context.user_regs.rip;
    for (unsigned i = 0; i < 32; ++i)
        context.trap_ctxt[i] = {
            .vector = static_cast<u8>(i), .flags = 4, .cs = FLAT_KERNEL_CS & 0xffff, .address = context.user_regs.rip};
    context.user_regs.cs = FLAT_KERNEL_CS & 0xffff;
    context.user_regs.ss = FLAT_KERNEL_SS & 0xffff;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.ctrlreg[3] = xen_pfn_to_cr3(root_mfn());
    context.gdt_ents = p.one_in(2) ? p.random.below(512) : 0;
    context.gdt_frames[0] = world.mfn[any_toy(p)];
    carry_out(p, call);
    for (const Operation* op : {&up, &down}) {
        call = prepare(p, *op);
        call.a[1] = vcpu;
        carry_out(p, call);
    }
}

/// Back to here, by way of a frame with odd flags.
void return_here(Player& p) {
    static const Operation& op = row("iret");
    constexpr u64 vgcf_in_syscall = 1u << 8;
    const u64 flags = p.random.next() & 0x3fffff, how = p.one_in(2) ? vgcf_in_syscall : 0;
    const u64 ss = p.one_in(3) ? 0 : FLAT_KERNEL_SS, cs = kernel_cs_in_frame;
    long result = 0;
    asm volatile("movq %%rsp, %%r12\n\t"
                 "pushq %[ss]\n\tpushq %%r12\n\tpushq %[flags]\n\tpushq %[cs]\n\t"
                 "leaq 1f(%%rip), %%rax\n\tpushq %%rax\n\t"
                 "pushq %[how]\n\tpushq $0\n\tpushq $0\n\tpushq $0\n\t"
                 "movl $23, %%eax\n\tsyscall\n"
                 "1:\tmovq %%r12, %%rsp\n\tcld\n\t"
                 : "=&a"(result)
                 : [ss] "r"(ss), [flags] "r"(flags), [cs] "r"(cs), [how] "r"(how)
                 : "rcx", "r11", "r12", "memory", "cc");
    const Call call{&op, {flags, how, ss}, nullptr, 1};
    conclude_call(p, call, result);
}

void several(Player& p) {
    static const Operation& op = row("multicall");
    constexpr unsigned most = 6;
    Call calls[most];
    const unsigned wanted = 1 + p.random.below(most);
    u8* const list = p.room(most * sizeof(multicall_entry_t));
    auto* const entries = reinterpret_cast<multicall_entry_t*>(list);
    // No structure lies over another one: a trap table, say, would become something else.
    constexpr unsigned full = Player::argument_pages * page_size / 2;
    unsigned count = 0;
    for (unsigned i = 0; i < wanted && p.used < full; ++i, ++count) {
        const Operation& one = pick(p);
        calls[i] = prepare(p, one);
        entries[i].op = one.hypercall;
        for (unsigned a = 0; a < 6; ++a) entries[i].args[a] = calls[i].a[a];
        entries[i].result = static_cast<xen_ulong_t>(-XEN_EINVAL);
    }
    const Call call{&op, {std::bit_cast<u64>(list), count}, list, 1};
    if (!carry_out(p, call)) return;
    for (unsigned i = 0; i < count; ++i) conclude_call(p, calls[i], static_cast<long>(entries[i].result));
}

/// Direct accesses, which the hypervisor may have to carry out when the page is a table.
void touch(Player& p) {
    const u64 address = choose(p, Kind::va, 0) & ~7ull;
    const u64 value = choose(p, Kind::pte, 0);
    (void)catch_trap([&] {
        auto* at = reinterpret_cast<volatile u64*>((address & ~(page_size - 1)) | 8 * p.random.below(6));
        if (p.one_in(3)) *at = value;
        else (void)*at;
    });
}

void step(Player& p) {
    p.used = 0;
    switch (p.random.below(40)) {
    case 0: return give_away(p);
    case 1:
    case 2: return take_back(p);
    case 3:
    case 4: return make_tree(p);
    case 5:
    case 6: return unpin_one(p);
    case 7:
    case 8: return write_grant(p);
    case 9: return p.one_in(8) ? change_version(p) : several(p);
    case 10: return p.one_in(4) ? start_spare(p) : return_here(p);
    case 11:
        if (p.id == 0) touch(p); // one vCPU alone catches traps
        return;
    case 12: {
        const unsigned toy = any_toy(p);
        if (world.mfn[toy] != no_mfn) set_home(p, toy, p.one_in(2) ? pte_rw : pte_ro);
        return;
    }
    default: break;
    }
    const Operation& op = pick(p);
    Call call = prepare(p, op, some_elements(p, op));
    spoil(p, call);
    carry_out(p, call);
}

u64 total_made() {
    u64 made = 0;
    for (const Count& c : counts) made += c.made;
    return made;
}

} // namespace

void play(Player& player, u64 calls) {
    Mailbox& box = *world.box;
    for (u64 i = 0; total_made() < calls && box.stop == 0; ++i) {
        for (unsigned k = 0; k < 64; ++k) step(player);
        if (player.id != 0) continue;
        u64 succeeded = 0;
        for (const Count& c : counts) succeeded += c.succeeded;
        box.done = total_made();
        box.succeeded = succeeded;
    }
}

void report() {
    for (const Operation& op : operations) {
        const Count& c = count_of(op);
        Line() << op.name << ": " << c.made << " calls, " << (c.made ? c.succeeded * 100 / c.made : 0) << " %, "
               << c.succeeded;
        const bool may_fail = op.forbidden || op.hypercall == __HYPERVISOR_xenpmu_op;
        constexpr u64 enough = 2000;
        if (c.made >= enough && c.succeeded == 0 && !may_fail) Line() << "FAIL: " << op.name << " never succeeds";
    }
}

} // namespace fuzz
