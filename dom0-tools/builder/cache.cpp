// SPDX-License-Identifier: GPL-2.0-only
#include "builder/cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <ctime>

#include "base/log.hpp"

namespace streak::builder {

namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

constexpr std::string_view link_prefix = "by-file-";
constexpr std::size_t hash_digits = 64;

struct Trailer {
    static constexpr std::uint64_t right_magic = 0x316C6E726B727473; // "strkrnl1"
    std::uint64_t magic, bytes, check_sum;
    bool operator==(const Trailer&) const = default;
};

/// Of everything that is not zero, and of where it is.
Trailer trailer_of(loader::Bytes image, const std::vector<Run>& runs) {
    uLong sum = crc32_z(0, nullptr, 0);
    for (const auto& run : runs) {
        sum = crc32_z(sum, reinterpret_cast<const Bytef*>(&run), sizeof run);
        sum = crc32_z(sum, reinterpret_cast<const Bytef*>(image.data() + run.offset), run.bytes);
    }
    return {Trailer::right_magic, image.size(), sum};
}

bool write_all(int fd, loader::Bytes data, std::uint64_t offset) {
    while (!data.empty()) {
        const auto put = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (put <= 0) return false;
        data = data.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
    return true;
}

bool write_image(int fd, loader::Bytes image) {
    const auto runs = nonzero_runs(image, 1);
    const Trailer trailer = trailer_of(image, runs);
    return std::ranges::all_of(
               runs, [&](const Run& run) { return write_all(fd, image.subspan(run.offset, run.bytes), run.offset); }) &&
           write_all(fd, std::as_bytes(std::span(&trailer, 1)), image.size());
}

bool owners_alone(const struct stat& status) { return status.st_uid == ::geteuid() && (status.st_mode & 077) == 0; }

/// The time of a kernel's last use is the file's mtime, which is renewed once an hour at most.
void mark_use(int fd, const struct stat& status) {
    constexpr time_t one_hour = 3600;
    if (::time(nullptr) - status.st_mtim.tv_sec > one_hour) (void)::futimens(fd, nullptr);
}

bool is_hash(std::string_view name) {
    return name.size() == hash_digits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Entry {
    std::string name;
    std::int64_t last_use;
    std::uint64_t bytes;
};

} // namespace

base::Outcome<> KernelCache::open() {
    std::error_code ignored; // opening tells
    fs::create_directories(directory_.parent_path(), ignored);
    (void)::mkdir(directory_.c_str(), 0700);
    base::Fd fd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return base::errno_error(fmt::format("the kernel cache {} can't be opened", directory_.string()), errno);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0 || !owners_alone(status))
        return base::error(ErrorKind::refused, fmt::format("the kernel cache {} is not used", directory_.string()),
                           fmt::format("owner {} and mode 0700", ::geteuid()),
                           fmt::format("owner {} and mode {:04o}", status.st_uid, status.st_mode & 07777),
                           "Remove it: whoever could write there could change kernels");
    fd_ = std::move(fd);
    return {};
}

base::Fd KernelCache::lock() const {
    base::Fd fd(::openat(fd_.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd) (void)::flock(fd.get(), LOCK_EX);
    return fd;
}

std::optional<std::string> KernelCache::name_of(const FileIdentity& file) const {
    std::array<char, hash_digits + 1> name{};
    const auto link = std::string(link_prefix) + file.text();
    const auto length = ::readlinkat(fd_.get(), link.c_str(), name.data(), name.size());
    if (length < 0) return std::nullopt;
    const std::string_view found(name.data(), static_cast<std::size_t>(length));
    return is_hash(found) ? std::optional(std::string(found)) : std::nullopt;
}

void KernelCache::remember(const FileIdentity& file, const std::string& name) const {
    // Without the link the next process hashes the file again, nothing worse.
    (void)!::symlinkat(name.c_str(), fd_.get(), (std::string(link_prefix) + file.text()).c_str());
}

base::Fd KernelCache::find(const std::string& name) const {
    base::Fd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) != 0) return {};
    if (!S_ISREG(status.st_mode) || !owners_alone(status) || status.st_nlink > 1) {
        base::log(base::LogLevel::warning, fmt::format("kernel cache: {} is not a file of its owner alone", name));
        return {};
    }
    mark_use(fd.get(), status);
    return fd;
}

std::optional<PageBuffer> KernelCache::load(const std::string& name, int fd) const {
    struct stat status{};
    Trailer stored{};
    const bool has_trailer = ::fstat(fd, &status) == 0 &&
                             status.st_size > static_cast<off_t>(sizeof stored) && // room for an image as well
                             ::pread(fd, &stored, sizeof stored, status.st_size - off_t{sizeof stored}) ==
                                 static_cast<ssize_t>(sizeof stored) &&
                             stored.bytes == static_cast<std::uint64_t>(status.st_size) - sizeof stored;
    if (has_trailer)
        if (auto image = read_whole(fd, stored.bytes, name);
            image && trailer_of(image->bytes(), nonzero_runs(image->bytes(), 1)) == stored)
            return std::move(*image);
    base::log(base::LogLevel::warning, fmt::format("kernel cache: {} is damaged; it is unpacked anew", name));
    (void)::unlinkat(fd_.get(), name.c_str(), 0);
    return std::nullopt;
}

base::Outcome<> KernelCache::insert(const std::string& name, loader::Bytes image) const {
    const auto temporary = fmt::format("new-{}", ::getpid());
    base::Fd fd(::openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd || !write_image(fd.get(), image) ||
        ::renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0) {
        const int code = errno;
        (void)::unlinkat(fd_.get(), temporary.c_str(), 0);
        return base::errno_error("an unpacked kernel can't be kept", code);
    }
    make_room(name);
    return {};
}

/// The least recently used kernels go, and the links to them, and what others left when they died.
void KernelCache::make_room(const std::string& newest) const {
    std::vector<Entry> entries;
    std::uint64_t total = 0;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory_, error)) {
        const auto name = file.path().filename().string();
        struct stat status{};
        if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const auto bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
        if (name.starts_with("new-")) (void)::unlinkat(fd_.get(), name.c_str(), 0);
        if (!is_hash(name)) continue;
        total += bytes;
        if (name != newest) entries.push_back({name, status.st_mtim.tv_sec, bytes});
    }
    std::ranges::sort(entries, {}, &Entry::last_use);
    for (const auto& entry : entries) {
        if (total <= limit_) break;
        if (::unlinkat(fd_.get(), entry.name.c_str(), 0) == 0) total -= entry.bytes;
    }
    for (const auto& file : fs::directory_iterator(directory_, error))
        if (file.is_symlink(error) && !fs::exists(file.path(), error)) fs::remove(file.path(), error);
}

std::string content_hash(loader::Bytes data) {
    sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, data.size(), reinterpret_cast<const std::uint8_t*>(data.data()));
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
    sha256_digest(&context, digest.size(), digest.data());
    std::string text;
    for (const auto byte : digest) text += fmt::format("{:02x}", byte);
    return text;
}

} // namespace streak::builder
