// SPDX-License-Identifier: GPL-2.0-only
#include "builder/unpack.hpp"

#include <fmt/format.h>

#include "builder/load_errors.hpp"
#include "builder/sandbox.hpp"
#include "loader/decompress.hpp"

namespace streak::builder {

namespace {

using base::ErrorKind;

constexpr std::uint64_t most_work_space = 512ull << 20; // xz: dictionaries of kernels have up to 128 MiB
constexpr unsigned most_cpu_seconds = 180;              // an emulated CPU takes ten for Debian's kernel

/// What the confined process tells. It may have been taken over: numbers only, and each is checked.
struct Report {
    std::uint32_t ok, code;
    std::uint64_t expected, found, bytes;
};

std::unexpected<base::Error> refused(std::string_view file, const loader::KernelPayload& payload,
                                     const Report& report) {
    if (report.code > static_cast<std::uint32_t>(loader::LoadErrc::bad_table))
        return base::error(ErrorKind::invalid, fmt::format("{} took over the process that unpacked it", file));
    const auto code = static_cast<loader::LoadErrc>(report.code);
    loader::LoadError error{code, name_of(payload.format), report.expected, report.found};
    if (code == loader::LoadErrc::unsupported_compression) error.found_text = name_of(payload.format);
    return std::unexpected(explain(file, error, {}));
}

} // namespace

base::Outcome<PageBuffer> unpack(std::string_view file, const loader::KernelPayload& payload) {
    const std::uint64_t work_bytes = work_space(payload.format, payload.data);
    if (work_bytes > most_work_space)
        return std::unexpected(explain(file, {loader::LoadErrc::arena_too_small, {}, most_work_space, work_bytes}, {}));
    TRY_ASSIGN(out, PageBuffer::make(payload.decompressed_size, true, file));
    TRY_ASSIGN(work, PageBuffer::make(work_bytes, false, file));
    TRY_ASSIGN(shared, PageBuffer::make(sizeof(Report), true, file));

    auto* const told = reinterpret_cast<Report*>(shared.bytes().data());
    const auto decode = [&] {
        loader::Arena arena(work.bytes());
        const auto written = decompress(payload.format, payload.data, out.bytes(), arena);
        if (written) *told = {1, 0, 0, 0, *written};
        else
            *told = {0, static_cast<std::uint32_t>(written.error().code), written.error().expected,
                     written.error().found, 0};
    };
    TRY_ASSIGN(ending, run_confined(decode, most_cpu_seconds, {payload.data, work.bytes()}));
    if (ending == Ending::killed)
        return base::error(ErrorKind::invalid, fmt::format("{} can't be unpacked: the decoder crashed", file),
                           fmt::format("{} data", name_of(payload.format)), "damaged, or made to crash it");
    if (ending == Ending::timeout)
        return base::error(ErrorKind::invalid, fmt::format("{} can't be unpacked", file),
                           fmt::format("at most {} s of CPU time", most_cpu_seconds), "more");
    const Report report = *told;
    if (report.ok != 1) return refused(file, payload, report);
    if (report.bytes != payload.decompressed_size)
        return std::unexpected(explain(
            file, {loader::LoadErrc::truncated, name_of(payload.format), payload.decompressed_size, report.bytes}, {}));
    return std::move(out);
}

} // namespace streak::builder
