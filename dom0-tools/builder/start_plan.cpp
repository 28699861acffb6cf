// SPDX-License-Identifier: GPL-2.0-only
#include "builder/start_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "builder/load_errors.hpp"

namespace streak::builder {

namespace {

using base::ErrorKind;

constexpr std::uint64_t kib_per_page = page_size / 1024;

std::string in_mib(std::uint64_t kib) { return fmt::format("{} MiB", (kib + 1023) / 1024); }

/// The least number of pages a plan can be made for; nothing when more memory is not what is missing.
std::optional<std::uint64_t> least_pages(const loader::PvStart& kernel, std::uint64_t initrd_bytes) {
    for (std::uint64_t pages = 1;;) {
        const auto plan = plan_start(kernel, pages, initrd_bytes);
        if (plan) return pages;
        if (plan.error().code != loader::LoadErrc::not_enough_memory) return std::nullopt;
        pages = std::max(pages + 1, plan.error().expected); // the p2m grows with it
    }
}

std::unexpected<base::Error> too_small(const Request& request) {
    const auto& name = request.kernel->plan().name;
    const auto with = least_memory_kib(*request.kernel, request.initrd.size());
    const auto without = least_memory_kib(*request.kernel, 0);
    const bool initrd_is_it = without <= request.memory_kib;
    return base::error(ErrorKind::invalid,
                       initrd_is_it ? fmt::format("the guest has too little memory for its initial RAM disk of {}",
                                                  in_mib(request.initrd.size() / 1024))
                                    : fmt::format("the guest has too little memory for the kernel {}", name),
                       fmt::format("at least {} to load it, and what it needs to run", in_mib(with)),
                       in_mib(request.memory_kib), "Raise <memory> and <currentMemory>");
}

} // namespace

loader::LoadResult<StartPlan> plan_start(const loader::PvStart& kernel, std::uint64_t pages,
                                         std::uint64_t initrd_bytes) {
    const auto layout = plan_layout(kernel, {loader::StartAs::dom_u, pages, initrd_bytes});
    if (!layout) return std::unexpected(layout.error());
    StartPlan plan{*layout, {}};
    if (!layout->initrd_by_pfn) return plan;
    const auto tables = loader::count_tables(0, layout->initrd.pages * page_size).total();
    plan.scratch = {0, Pfn(layout->used_pages), tables};
    if (layout->used_pages + tables > pages)
        return loader::refuse(loader::LoadErrc::not_enough_memory, "pages", layout->used_pages + tables, pages);
    return plan;
}

base::Outcome<StartPlan> plan_request(const Request& request) {
    if (request.command_line.size() >= MAX_GUEST_CMDLINE)
        return base::error(ErrorKind::invalid, "the kernel's command line is too long",
                           fmt::format("at most {} bytes", MAX_GUEST_CMDLINE - 1),
                           fmt::format("{}", request.command_line.size()));
    if (request.memory_kib < kib_per_page)
        return base::error(ErrorKind::invalid, "the guest has no memory", "at least a page", "none");
    const auto& kernel = request.kernel->plan();
    const auto plan = plan_start(kernel.start, request.memory_kib / kib_per_page, request.initrd.size());
    if (plan) return *plan;
    if (plan.error().code == loader::LoadErrc::not_enough_memory) return too_small(request);
    return std::unexpected(explain(kernel.name, plan.error(), {}));
}

std::uint64_t least_memory_kib(const Kernel& kernel, std::uint64_t initrd_bytes) {
    return least_pages(kernel.plan().start, initrd_bytes).value_or(0) * kib_per_page;
}

base::Outcome<> check(const Request& request) {
    TRY(plan_request(request));
    return {};
}

} // namespace streak::builder
