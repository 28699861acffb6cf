// SPDX-License-Identifier: GPL-2.0-only
#include "debug/trace_buffers.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "hv/calls.hpp"
#include "hv/hypervisor.hpp"

namespace streak::debug {
namespace {

xen_sysctl_t request(std::uint32_t command) {
    auto op = hv::sysctl(XEN_SYSCTL_tbuf_op);
    op.u.tbuf_op.cmd = command;
    return op;
}

Result<> order(hv::Port& port, std::uint32_t command, std::uint32_t value = 0) {
    auto op = request(command);
    op.u.tbuf_op.evt_mask = op.u.tbuf_op.size = value;
    return hv::run(port, op);
}

Result<> choose_all_cpus(hv::Port& port) {
    constexpr std::size_t most_cpus = 4096;
    const hv::Buffer<std::uint8_t> bits(port, most_cpus / 8);
    if (!bits) return fail(Errno::ENOMEM);
    std::ranges::fill(bits.items(), 0xff);
    auto op = request(XEN_SYSCTL_TBUFOP_set_cpu_mask);
    op.u.tbuf_op.cpu_mask.nr_bits = most_cpus;
    set_xen_guest_handle(op.u.tbuf_op.cpu_mask.bitmap, bits.data());
    return hv::run(port, op);
}

} // namespace

Result<TraceBuffers> TraceBuffers::open(hv::Port& port, std::uint32_t pages) {
    TraceBuffers buffers(port);
    auto info = request(XEN_SYSCTL_TBUFOP_get_info);
    TRY(hv::run(port, info));
    if (info.u.tbuf_op.size == 0) {
        TRY(order(port, XEN_SYSCTL_TBUFOP_set_size, pages));
        TRY(hv::run(port, info));
    }
    TRY(buffers.map(info.u.tbuf_op.buffer_mfn, info.u.tbuf_op.size));
    return buffers;
}

Result<> TraceBuffers::map(std::uint64_t info_frame, std::uint32_t info_bytes) {
    TRY_ASSIGN(cpus, hv::Hypervisor(*port_).host_info());
    std::vector<std::uint64_t> frames(info_bytes / page_size);
    std::iota(frames.begin(), frames.end(), info_frame);
    TRY_ASSIGN(bytes, port_->map_foreign(xen_id, frames, false));
    const hv::Mapping info(*port_, bytes);
    const std::size_t words = bytes.size() / sizeof(std::uint32_t), pages = info.as<t_info>().tbuf_size;
    for (std::uint32_t cpu = 0; cpu < cpus.cpus; ++cpu) {
        const std::size_t list = info.as<std::uint16_t>(sizeof(std::uint16_t) * (cpu + 1));
        if (list + pages > words) return fail(Errno::EINVAL);
        frames.resize(pages);
        for (std::size_t i = 0; i < pages; ++i) frames[i] = info.as<std::uint32_t>((list + i) * sizeof(std::uint32_t));
        TRY_ASSIGN(ring, port_->map_foreign(xen_id, frames, true));
        rings_.push_back({hv::Mapping(*port_, ring), RecordReader(cpu)});
    }
    return {};
}

Result<> TraceBuffers::start(std::uint32_t events) {
    for (const Ring& ring : rings_) {
        auto& head = ring.memory.as<t_buf>();
        __atomic_store_n(&head.cons, __atomic_load_n(&head.prod, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    }
    on_ = true;
    TRY(order(*port_, XEN_SYSCTL_TBUFOP_set_evt_mask, events));
    TRY(choose_all_cpus(*port_));
    return order(*port_, XEN_SYSCTL_TBUFOP_enable);
}

void TraceBuffers::stop() {
    // Nobody could do more about it than end the machine.
    if (std::exchange(on_, false)) (void)order(*port_, XEN_SYSCTL_TBUFOP_disable);
}

void TraceBuffers::take(Ring& ring, std::vector<TraceRecord>& to) {
    auto& head = ring.memory.as<t_buf>();
    const auto data = std::span<const std::byte>(ring.memory.bytes()).subspan(sizeof(t_buf));
    const std::size_t size = data.size(), from = head.cons;
    const std::size_t until = __atomic_load_n(&head.prod, __ATOMIC_ACQUIRE);
    const std::size_t bytes = (until + 2 * size - from) % (2 * size);
    if (from < 2 * size && until < 2 * size && bytes <= size) {
        const std::size_t first = std::min(bytes, size - from % size);
        ring.reader.read(data.subspan(from % size, first), to);
        ring.reader.read(data.first(bytes - first), to);
    }
    __atomic_store_n(&head.cons, static_cast<std::uint32_t>(until), __ATOMIC_RELEASE);
}

void TraceBuffers::take(std::vector<TraceRecord>& to) {
    for (Ring& ring : rings_) take(ring, to);
}

} // namespace streak::debug
