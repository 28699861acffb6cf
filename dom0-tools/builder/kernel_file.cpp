// SPDX-License-Identifier: GPL-2.0-only
#include "builder/kernel_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/io.hpp"
#include "loader/bzimage.hpp"

namespace streak::builder {

namespace {

using base::ErrorKind;

constexpr std::int64_t ns_per_s = 1'000'000'000;

std::int64_t in_ns(const timespec& time) { return time.tv_sec * ns_per_s + time.tv_nsec; }

FileIdentity identity_from(const struct stat& status) {
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), in_ns(status.st_mtim),
            in_ns(status.st_ctim)};
}

bool only_trusted_writers(const struct stat& status) {
    return (status.st_uid == 0 || status.st_uid == ::geteuid()) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool settled(const struct stat& status, std::int64_t tick_ns) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return in_ns(now) - in_ns(status.st_ctim) > tick_ns;
}

base::Outcome<> check_kind(const struct stat& status, const std::string& name) {
    const auto wrong = [&](std::string expected, std::string found) {
        return base::error(ErrorKind::invalid, name + " is not a kernel", std::move(expected), std::move(found));
    };
    if (!S_ISREG(status.st_mode))
        return wrong("a file", S_ISDIR(status.st_mode) ? "a directory" : "a device or socket");
    if (status.st_size == 0) return wrong("an ELF file or a bzImage", "an empty file");
    if (static_cast<std::uint64_t>(status.st_size) > loader::max_kernel_size)
        return wrong(fmt::format("at most {} MiB", loader::max_kernel_size >> 20),
                     fmt::format("{} MiB", status.st_size >> 20));
    return {};
}

bool is_zero(loader::Bytes block) {
    return block.front() == std::byte{0} && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0;
}

} // namespace

base::Outcome<> read_exactly(int fd, std::span<std::byte> into, std::uint64_t offset, std::string_view name) {
    const auto got = base::read_all_at(fd, into, offset);
    if (!got) return base::errno_error(fmt::format("{} can't be read", name), errno);
    if (*got == into.size()) return {};
    return base::error(ErrorKind::conflict, fmt::format("{} got shorter while it was read", name));
}

std::string FileIdentity::text() const {
    return fmt::format("{:x}-{:x}-{:x}-{:x}-{:x}", device, inode, bytes, mtime_ns, ctime_ns);
}

base::Outcome<KernelFile> open_kernel(const std::filesystem::path& file, std::int64_t tick_ns) {
    base::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return base::errno_error(fmt::format("the kernel {} can't be opened", file.string()), errno);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return base::errno_error(file.string() + " can't be examined", errno);
    TRY(check_kind(status, file.string()));
    return KernelFile{std::move(fd), identity_from(status), only_trusted_writers(status) && settled(status, tick_ns)};
}

FileIdentity identity_of(int fd) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 ? identity_from(status) : FileIdentity{};
}

base::Outcome<PageBuffer> PageBuffer::make(std::size_t bytes, bool shared, std::string_view kernel) {
    const int flags = MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return base::error(ErrorKind::resources, fmt::format("no memory for {}", kernel),
                           fmt::format("{} KiB", bytes >> 10));
    PageBuffer buffer;
    buffer.memory_ = {static_cast<std::byte*>(memory), bytes};
    return buffer;
}

PageBuffer::~PageBuffer() {
    if (!memory_.empty()) ::munmap(memory_.data(), memory_.size());
}

std::vector<Run> nonzero_runs(loader::Bytes data) {
    constexpr std::uint64_t block_bytes = 4096;
    std::vector<Run> runs;
    for (std::uint64_t at = 0; at < data.size(); at += block_bytes) {
        const auto block = data.subspan(at, std::min<std::uint64_t>(block_bytes, data.size() - at));
        if (is_zero(block)) continue;
        if (!runs.empty() && at == runs.back().offset + runs.back().bytes) runs.back().bytes += block.size();
        else runs.push_back({at, block.size()});
    }
    return runs;
}

base::Outcome<PageBuffer> read_headers(int fd, std::uint64_t bytes, std::string_view name) {
    TRY_ASSIGN(buffer, PageBuffer::make(bytes, false, name));
    const auto bring = [&](std::uint64_t offset, std::uint64_t size) {
        const auto from = std::min(offset, bytes);
        return read_exactly(fd, buffer.bytes().subspan(from, std::min(size, bytes - from)), from, name);
    };
    TRY(bring(0, sizeof(Elf64_Ehdr)));
    const auto header = loader::read_at<Elf64_Ehdr>(buffer.bytes(), 0).value_or(Elf64_Ehdr{});
    TRY(bring(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr)));
    constexpr std::uint64_t most_tables = 64, most_table_bytes = 1 << 16; // the loader looks at no more
    std::uint64_t tables = 0;
    for (std::uint64_t i = 0; i < header.e_phnum && tables < most_tables; ++i) {
        const auto program = loader::read_at<Elf64_Phdr>(buffer.bytes(), header.e_phoff + i * sizeof(Elf64_Phdr));
        if (!program || program->p_type != PT_NOTE) continue;
        ++tables;
        TRY(bring(program->p_offset, std::min(program->p_filesz, most_table_bytes)));
    }
    if (tables == 0) return read_whole(fd, bytes, name); // they are in sections
    return std::move(buffer);
}

base::Outcome<PageBuffer> read_whole(int fd, std::uint64_t bytes, std::string_view name) {
    TRY_ASSIGN(buffer, PageBuffer::make(bytes, false, name));
    for (std::uint64_t at = 0; at < bytes;) {
        // File systems that can't tell holes report one piece of data and a hole behind the end.
        const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == static_cast<int>(Errno::ENXIO)) break;
        const auto from = data < 0 ? at : std::min(static_cast<std::uint64_t>(data), bytes);
        const off_t hole = data < 0 ? -1 : ::lseek(fd, data, SEEK_HOLE);
        const auto to = hole < 0 ? bytes : std::min(static_cast<std::uint64_t>(hole), bytes);
        if (from < to) TRY(read_exactly(fd, buffer.bytes().subspan(from, to - from), from, name));
        at = to;
    }
    return std::move(buffer);
}

} // namespace streak::builder
