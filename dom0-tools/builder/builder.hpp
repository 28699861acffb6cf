// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/error.hpp"
#include "hv/hypervisor.hpp"
#include "loader/elf_notes.hpp"

// Makes the first state of a PV guest: kernel, page tables, start_info, rings (docs/builder.md).

namespace streak::builder {

/// An unpacked kernel in memory that no one can change, checked, ready for any number of guests.
class Kernel;

/// Looks at a kernel file without starting anything: PV notes, architecture, compression, least memory. Unpacks it in
/// a process without rights and keeps the result by its content's hash (cache.hpp). Errors of kind `invalid` name what
/// was expected and found.
[[nodiscard]] base::Outcome<std::shared_ptr<const Kernel>> load_kernel(const std::filesystem::path& file);

struct Request {
    DomId domain{};
    std::shared_ptr<const Kernel> kernel;
    std::span<const std::byte> initrd; ///< as the file is; empty: none
    std::string command_line;
    std::uint64_t memory_kib = 0;     ///< at start; the p2m covers it
    std::uint64_t max_memory_kib = 0; ///< size of the memory map, when more
    std::uint32_t vcpus = 1;          ///< those after the first are started by the guest
    EvtchnPort store_port{}, console_port{};
};

struct Built {
    Mfn store_frame{}, console_frame{}; ///< granted to dom0 by the reserved grant entries 1 and 0
    std::uint64_t pages = 0;
};

/// Memory in KiB that it takes at least to load this kernel and an initial RAM disk. 0: no amount helps (check() says why).
[[nodiscard]] std::uint64_t least_memory_kib(const Kernel& kernel, std::uint64_t initrd_bytes);

/// Whether build() can succeed, before the domain is there: memory, addresses, length of the command line. Looks at
/// neither domain nor ports. Errors: invalid.
[[nodiscard]] base::Outcome<> check(const Request& request);

/// The domain exists, is paused, and has its vCPUs and memory limit; afterwards vCPU 0 is ready to run. On failure the
/// caller destroys the domain: nothing else was changed.
[[nodiscard]] base::Outcome<Built> build(hv::Hypervisor& hypervisor, const Request& request);

} // namespace streak::builder
