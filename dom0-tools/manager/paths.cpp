// SPDX-License-Identifier: GPL-2.0-only
#include "manager/paths.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.hpp"
#include "base/io.hpp"

namespace streak::manager {

namespace {

void sync_directory(const std::filesystem::path& directory) {
    const base::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) ::fsync(fd.get());
}

} // namespace

base::Outcome<> replace_file(const std::filesystem::path& file, std::string_view content, Durable durable) {
    const std::string temporary = file.string() + ".new";
    const auto failed = [&](const char* what, const std::filesystem::path& which) {
        const int code = errno;
        remove_file(temporary);
        return base::errno_error(what + which.string(), code);
    };
    {
        const base::Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
        if (!fd || !base::write_all(fd.get(), content) || (durable == Durable::yes && ::fsync(fd.get()) < 0))
            return failed("can't write ", temporary);
    }
    if (::rename(temporary.c_str(), file.c_str()) < 0) return failed("can't replace ", file);
    if (durable == Durable::yes) sync_directory(file.parent_path());
    return {};
}

base::Outcome<std::string> read_file(const std::filesystem::path& file) {
    const base::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) < 0) return base::errno_error("can't open " + file.string(), errno);
    if (!S_ISREG(status.st_mode))
        return base::error(base::ErrorKind::invalid, "can't read " + file.string(), "a regular file");
    std::string content;
    std::optional<std::size_t> got;
    content.resize_and_overwrite(static_cast<std::size_t>(status.st_size), [&](char* to, std::size_t bytes) {
        got = base::read_all_at(fd.get(), std::as_writable_bytes(std::span(to, bytes)), 0);
        return got.value_or(0);
    });
    if (!got) return base::errno_error("can't read " + file.string(), errno);
    return content;
}

void remove_file(const std::filesystem::path& file) { ::unlink(file.c_str()); }

base::Outcome<> make_directory(const std::filesystem::path& directory) {
    std::error_code code;
    std::filesystem::create_directories(directory, code);
    if (code) return base::errno_error("can't make the directory " + directory.string(), code.value());
    return {};
}

} // namespace streak::manager
