// SPDX-License-Identifier: GPL-2.0-only
#include "builder/cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL // no library at run time
#include <xxhash.h>

#include <algorithm>
#include <ctime>

#include "base/io.hpp"
#include "base/log.hpp"

namespace streak::builder {

namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

constexpr std::string_view link_prefix = "by-file-";
constexpr std::size_t hash_digits = 64;

/// Ends an entry: image, runs, trailer.
struct Trailer {
    static constexpr std::uint64_t right_magic = 0x326C6E726B727473; // "strkrnl2"
    std::uint64_t magic, bytes, runs, check_sum;
};

class CheckSum {
public:
    CheckSum() { (void)XXH3_64bits_reset(&state_); }
    void add(loader::Bytes data) { (void)XXH3_64bits_update(&state_, data.data(), data.size()); }
    [[nodiscard]] std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

private:
    XXH3_state_t state_;
};

std::span<std::byte> bytes_of(Trailer& trailer) { return std::as_writable_bytes(std::span(&trailer, 1)); }

/// Reads all of `into`.
bool read_all(int fd, std::span<std::byte> into, std::uint64_t offset) {
    return base::read_all_at(fd, into, offset) == into.size();
}

bool write_image(int fd, loader::Bytes image, std::span<const Run> runs) {
    CheckSum sum;
    sum.add(std::as_bytes(runs));
    for (const auto& run : runs) {
        const auto data = image.subspan(run.offset, run.bytes);
        if (!base::write_all_at(fd, data, run.offset)) return false;
        sum.add(data);
    }
    Trailer trailer{Trailer::right_magic, image.size(), runs.size(), sum.value()};
    return base::write_all_at(fd, std::as_bytes(runs), image.size()) &&
           base::write_all_at(fd, bytes_of(trailer), image.size() + runs.size_bytes());
}

/// Nothing when the file is not as write_image() left it.
std::optional<std::vector<Run>> read_runs(int fd, Trailer& trailer) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    const auto at = static_cast<std::uint64_t>(size) - sizeof trailer;
    if (size <= static_cast<off_t>(sizeof trailer) || !read_all(fd, bytes_of(trailer), at) ||
        trailer.magic != Trailer::right_magic || trailer.bytes > at || (at - trailer.bytes) % sizeof(Run) != 0 ||
        (at - trailer.bytes) / sizeof(Run) != trailer.runs || trailer.bytes / 4096 + 1 < trailer.runs)
        return std::nullopt;
    std::vector<Run> runs(trailer.runs);
    if (!read_all(fd, std::as_writable_bytes(std::span(runs)), trailer.bytes)) return std::nullopt;
    std::uint64_t end = 0;
    for (const auto& run : runs) {
        if (run.offset < end || run.offset > trailer.bytes || run.bytes > trailer.bytes - run.offset)
            return std::nullopt;
        end = run.offset + run.bytes;
    }
    return runs;
}

bool right_sum(int fd, const Trailer& trailer, std::span<const Run> runs) {
    std::vector<std::byte> buffer(256 << 10);
    CheckSum sum;
    sum.add(std::as_bytes(runs));
    for (const auto& run : runs)
        for (std::uint64_t at = 0; at < run.bytes; at += buffer.size()) {
            const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), run.bytes - at));
            if (!read_all(fd, part, run.offset + at)) return false;
            sum.add(part);
        }
    return sum.value() == trailer.check_sum;
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

std::optional<KernelCache::Image> KernelCache::load(const std::string& name, int fd) const {
    Trailer trailer{};
    if (auto runs = read_runs(fd, trailer); runs && right_sum(fd, trailer, *runs))
        if (auto headers = read_headers(fd, trailer.bytes, name)) return Image{std::move(*headers), std::move(*runs)};
    base::log(base::LogLevel::warning, fmt::format("kernel cache: {} is damaged; it is unpacked anew", name));
    (void)::unlinkat(fd_.get(), name.c_str(), 0);
    return std::nullopt;
}

base::Outcome<> KernelCache::insert(const std::string& name, loader::Bytes image, std::span<const Run> runs) const {
    const auto temporary = fmt::format("new-{}", ::getpid());
    base::Fd fd(::openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd || !write_image(fd.get(), image, runs) ||
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
