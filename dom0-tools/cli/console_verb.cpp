// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "base/uuid.hpp"
#include "cli/console.hpp"
#include "cli/text.hpp"

#include <array>

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace streak::cli {
namespace {

/// All that is new in the file, to standard output.
Outcome<> copy_rest(Context& context, int fd, const std::string& path) {
    std::array<char, 65536> buffer;
    while (true) {
        const auto count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0) return base::errno_error("can't read " + path, errno);
        if (count == 0) return {};
        context.print_text({buffer.data(), static_cast<std::size_t>(count)});
    }
}

/// The file that has the name now, when it is another one than `fd`, or -1.
base::Fd successor(const std::string& path, int fd) {
    struct stat mine{}, now{};
    if (::fstat(fd, &mine) != 0 || ::stat(path.c_str(), &now) != 0 || mine.st_ino == now.st_ino) return {};
    return base::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/// The UUID of a domain that is gone: given as such, or that of the last domain of this name, as events tell.
std::string former_uuid(Context& context, const std::string& domain) {
    if (const auto uuid = base::Uuid::parse(domain)) return uuid->text();
    std::string uuid;
    if (const auto events = context.get("/v1/events?since=0"))
        for (const auto& event : list_of(*events, "events"))
            if (text_of(event, "name") == domain) uuid = text_of(event, "uuid");
    return uuid;
}

/// Where the log is: streakd knows, or it is called after the UUID of a domain that is gone.
Outcome<std::string> log_path(Context& context, const std::string& domain) {
    TRY_ASSIGN(path, domain_path(domain));
    const auto answer = context.get(path);
    if (answer) return text_of(object_of(*answer, "console"), "log");
    const auto uuid = former_uuid(context, domain);
    const auto file = context.path("/var/log/streak/console/" + uuid + ".log");
    if (!uuid.empty() && ::access(file.c_str(), R_OK) == 0) return file;
    return std::unexpected(answer.error());
}

Outcome<> console(Context& context, const std::string& domain, bool log, bool follow) {
    if (follow && !log)
        return base::error(base::ErrorKind::usage, "--follow goes with --log", "streak console --log --follow DOMAIN");
    if (log && !context.json()) {
        TRY_ASSIGN(path, log_path(context, domain));
        return show_log(context, path, follow);
    }
    if (context.json()) {
        TRY_ASSIGN(path, domain_path(domain));
        TRY_ASSIGN(answer, context.get(path));
        Json json{{"schema", "streak.console/1"}};
        json.update(object_of(answer, "console"));
        return context.print(json, {});
    }
    TRY_ASSIGN(open, Console::open(context, domain));
    return open.run(context);
}

} // namespace

Outcome<> show_log(Context& context, const std::string& path, bool follow) {
    base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return base::error(base::ErrorKind::not_found, "there is no log of this console", path,
                           base::system_error(errno), "is streak-consoled running? `streak doctor` tells");
    TRY(copy_rest(context, file.get(), path));
    if (!follow) return {};
    const base::Fd changes(::inotify_init1(IN_CLOEXEC));
    // The folder's events tell of rotation, too.
    const auto folder = path.substr(0, path.rfind('/'));
    if (::inotify_add_watch(changes.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return base::errno_error("can't follow " + path, errno);
    alignas(inotify_event) std::array<char, 4096> events;
    while (true) {
        TRY(copy_rest(context, file.get(), path));
        if (auto next = successor(path, file.get())) {
            file = std::move(next);
            continue;
        }
        if (::read(changes.get(), events.data(), events.size()) < 0) return {};
    }
}

Action declare_console(Options& options) {
    const auto& domain = options.argument("DOMAIN", "name, number or UUID; with --log also of one that is gone");
    const auto& log = options.flag("--log", "print the console's log instead");
    const auto& follow = options.flag("--follow", "with --log: and what is added to it");
    return [&domain, &log, &follow](Context& context) { return console(context, domain, log, follow); };
}

} // namespace streak::cli
