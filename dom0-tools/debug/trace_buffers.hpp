// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "debug/trace_events.hpp"
#include "hv/port.hpp"

namespace streak::debug {

/// The hypervisor's trace buffers, mapped (XEN_SYSCTL_tbuf_op). Tracing ends with their owner.
class TraceBuffers {
public:
    /// Makes buffers of so many pages for each CPU, unless there are some already.
    [[nodiscard]] static Result<TraceBuffers> open(hv::Port& port, std::uint32_t pages);
    TraceBuffers(TraceBuffers&&) = default;
    ~TraceBuffers() { stop(); }

    /// Forgets what is there, and records `events` (TRC_*) on all CPUs.
    [[nodiscard]] Result<> start(std::uint32_t events);
    void stop();
    /// Adds what came since, CPU by CPU. A ring whose state can't be is emptied.
    void take(std::vector<TraceRecord>& to);

private:
    struct Ring {
        hv::Mapping memory;
        RecordReader reader;
    };
    explicit TraceBuffers(hv::Port& port) : port_(&port) {}
    [[nodiscard]] Result<> map(std::uint64_t info_frame, std::uint32_t info_bytes);
    static void take(Ring& ring, std::vector<TraceRecord>& to);

    hv::Port* port_;
    std::vector<Ring> rings_;
    bool on_ = false;
};

} // namespace streak::debug
