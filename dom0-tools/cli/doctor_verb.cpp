// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/doctor.hpp"
#include "cli/text.hpp"
#include "store/wire.hpp"

namespace streak::cli {
namespace {

namespace fs = std::filesystem;

/// A short file, without the end of its line; empty when there is none.
std::string content(const Context& context, std::string_view path) {
    const base::Fd file(::open(context.path(path).c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 256> buffer;
    const auto count = ::read(file.get(), buffer.data(), buffer.size());
    std::string text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

/// Those of the names that exist in a folder.
std::set<std::string> names_in(const Context& context, std::string_view folder) {
    std::set<std::string> names;
    std::error_code none;
    for (fs::directory_iterator it(context.path(folder), none), end; !none && it != end; it.increment(none))
        names.insert(it->path().filename().string());
    return names;
}

/// Modules as /sys/module lists them, loaded or built in, with hyphens.
std::set<std::string> modules(const Context& context) {
    std::set<std::string> names;
    for (auto name : names_in(context, "/sys/module")) {
        std::ranges::replace(name, '_', '-');
        names.insert(std::move(name));
    }
    return names;
}

std::set<std::string> bridges(const Context& context) {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& name : names_in(context, "/sys/class/net"))
        if (fs::exists(context.path("/sys/class/net/" + name + "/bridge"), none)) names.insert(name);
    return names;
}

constexpr std::chrono::seconds patience{3};

/// Asks the store something that costs it nothing.
std::optional<base::Error> store_trouble(const Context& context) {
    const auto fd = connect_to(context.path("/run/xenstored/socket"), "streak-stored");
    if (!fd) return fd.error().error;
    const auto question = store::Message{.type = XS_DIRECTORY, .payload = std::string("/\0", 2)}.encode();
    pollfd waiting{.fd = fd->get(), .events = POLLIN, .revents = 0};
    char byte = 0;
    if (::send(fd->get(), question.data(), question.size(), MSG_NOSIGNAL) < 0 ||
        ::poll(&waiting, 1, static_cast<int>(patience.count()) * 1000) <= 0)
        return silence_error("streak-stored", patience);
    if (::recv(fd->get(), &byte, 1, 0) > 0) return {};
    return base::Error{.kind = base::ErrorKind::unavailable,
                       .what = "streak-stored ended the connection",
                       .remedy = "journalctl -u streak-stored"};
}

/// It has no socket; its process tells.
std::optional<base::Error> consoled_trouble(const Context& context) {
    for (const auto& name : names_in(context, "/proc"))
        if (name[0] >= '1' && name[0] <= '9' && content(context, "/proc/" + name + "/comm") == "streak-consoled")
            return {};
    return base::Error{.kind = base::ErrorKind::unavailable,
                       .what = "streak-consoled is not running",
                       .remedy = "start it with `systemctl start streak-consoled`"};
}

HostFacts gather(Context& context) {
    HostFacts facts;
    facts.hypervisor = content(context, "/sys/hypervisor/type");
    facts.extra = content(context, "/sys/hypervisor/version/extra");
    const auto capabilities = context.path("/proc/xen/capabilities");
    facts.xenfs = ::access(capabilities.c_str(), F_OK) == 0;
    facts.control_domain = content(context, "/proc/xen/capabilities").contains("control_d");
    facts.root = ::geteuid() == 0;
    facts.devices = names_in(context, "/dev/xen");
    facts.modules = modules(context);
    facts.bridges = bridges(context);
    const auto host = context.get("/v1/host", patience);
    facts.daemons = {{"streak-stored", store_trouble(context)},
                     {"streak-consoled", consoled_trouble(context)},
                     {"streakd", host ? std::nullopt : std::optional(host.error().error)}};
    if (host) facts.free_kib = number_of(*host, "free_memory_kib");
    facts.cpus = static_cast<std::uint32_t>(host ? number_of(*host, "cpus") : ::sysconf(_SC_NPROCESSORS_ONLN));
    return facts;
}

Json checks_json(const std::vector<Check>& checks) {
    static constexpr std::string_view states[] = {"ok", "warning", "failed"};
    Json list = Json::array();
    for (const auto& check : checks)
        list.push_back({{"name", check.name},
                        {"state", states[static_cast<std::size_t>(check.state)]},
                        {"found", check.found},
                        {"remedy", check.remedy}});
    return {{"schema", "streak.doctor/1"}, {"checks", list}};
}

} // namespace

Action declare_doctor(Options&) {
    return [](Context& context) -> Outcome<> {
        const auto checks = examine(gather(context));
        context.print(checks_json(checks), checks_text(checks, context.colour_out()));
        const auto bad = std::ranges::count(checks, Check::State::bad, &Check::state);
        if (bad == 0) return {};
        return base::error(base::ErrorKind::unavailable,
                           std::to_string(bad) + " of " + std::to_string(checks.size()) + " checks failed");
    };
}

} // namespace streak::cli
