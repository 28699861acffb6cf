// SPDX-License-Identifier: GPL-2.0-only
#include "store/state_file.hpp"

#include <atomic>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "store/journal.hpp"

namespace streak::store {

using base::last_error;

namespace {

constexpr char magic[16] = "STREAK-STORE 1\n"; // with its version
constexpr std::size_t smallest = 1 << 20;
} // namespace

Result<std::string> StateFile::read() const {
    const base::Fd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return last_error();
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return last_error();
    std::string content(static_cast<std::size_t>(status.st_size), '\0');
    const ssize_t got = ::read(file.get(), content.data(), content.size());
    if (got < 0) return last_error();
    content.resize(static_cast<std::size_t>(got));
    if (!content.starts_with(std::string_view(magic, sizeof magic))) return fail(Errno::EINVAL);
    return content.substr(sizeof magic);
}

Result<> StateFile::begin(std::string_view records) {
    const std::string first = frame(records), draft = path_ + ".new";
    base::Fd file(::open(draft.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return last_error();
    const std::size_t used = sizeof magic + first.size(), size = std::max(smallest, 4 * used);
    // A page that can't be had would kill the process when it is written to.
    if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)); error != 0)
        return fail(static_cast<Errno>(error));
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return last_error();
    std::memcpy(memory, magic, sizeof magic);
    std::memcpy(static_cast<char*>(memory) + sizeof magic, first.data(), first.size());
    if (::rename(draft.c_str(), path_.c_str()) != 0) {
        const auto error = last_error();
        ::munmap(memory, size);
        return error;
    }
    close();
    file_ = std::move(file);
    memory_ = static_cast<char*>(memory);
    size_ = size;
    used_ = used;
    return {};
}

Result<> StateFile::append(std::string_view records) {
    if (!memory_ || size_ - used_ < frame_bytes(records.size()) + frame_header_bytes) return fail(Errno::ENOSPC);
    const std::uint32_t sum = check_sum(records);
    char* at = memory_ + used_;
    std::memcpy(at + sizeof sum, &sum, sizeof sum);
    std::memcpy(at + frame_header_bytes, records.data(), records.size());
    // The frame counts from this store on.
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at))
        .store(static_cast<std::uint32_t>(records.size()), std::memory_order_release);
    used_ += frame_bytes(records.size());
    return {};
}

void StateFile::remove() {
    close();
    ::unlink(path_.c_str());
}

void StateFile::close() {
    if (memory_) ::munmap(memory_, size_);
    memory_ = nullptr;
    file_.reset();
    size_ = used_ = 0;
}

} // namespace streak::store
