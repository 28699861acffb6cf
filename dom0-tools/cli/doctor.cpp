// SPDX-License-Identifier: GPL-2.0-only
#include "cli/doctor.hpp"

#include <algorithm>

#include "cli/text.hpp"

namespace streak::cli {
namespace {

using State = Check::State;
constexpr std::uint64_t little_memory_kib = 64 * 1024;

Check check_hypervisor(const HostFacts& f) {
    if (f.hypervisor != "xen")
        return {State::bad, "hypervisor", f.hypervisor.empty() ? "none" : f.hypervisor,
                "boot the entry `Debian GNU/Linux, with Streak` of GRUB's menu"};
    if (!f.extra.contains("streak"))
        return {State::warning, "hypervisor", "Xen, not Streak", "Streak's daemons were made for Streak"};
    return {State::good, "hypervisor", "Streak (4.17" + f.extra + ')', {}};
}

Check check_control_domain(const HostFacts& f) {
    if (f.control_domain) return {State::good, "control domain", "yes", {}};
    return {State::bad, "control domain", f.xenfs ? "no, a guest" : "unknown, for xenfs is not mounted",
            f.xenfs ? "run this in dom0" : "mount -t xenfs xenfs /proc/xen"};
}

/// One check for several things of a sort; those that are missing are named.
Check check_all(std::string name, const std::set<std::string>& present, std::initializer_list<std::string_view> needed,
                State state, std::string_view remedy) {
    std::string missing, all;
    for (const auto item : needed) {
        auto& list = present.contains(std::string(item)) ? all : missing;
        list += (list.empty() ? "" : " ") + std::string(item);
    }
    if (missing.empty()) return {State::good, std::move(name), all, {}};
    return {state, std::move(name), "missing: " + missing, std::string(remedy) + ' ' + missing};
}

Check check_devices(const HostFacts& f) {
    auto check = check_all("/dev/xen", f.devices, {"privcmd", "evtchn", "gntdev", "gntalloc"}, State::bad, "");
    if (check.state != State::good) check.remedy = "modprobe -a xen-privcmd xen-evtchn xen-gntdev xen-gntalloc";
    return check;
}

Check check_daemon(const HostFacts::Daemon& daemon) {
    if (!daemon.trouble) return {State::good, daemon.name, "answers", {}};
    return {State::bad, daemon.name, daemon.trouble->what, daemon.trouble->remedy};
}

Check check_bridges(const HostFacts& f) {
    if (f.bridges.empty())
        return {State::warning, "bridge", "none", "guests with interfaces need one: ip link add br0 type bridge"};
    std::string names;
    for (const auto& bridge : f.bridges) names += (names.empty() ? "" : " ") + bridge;
    return {State::good, "bridge", names, {}};
}

Check check_memory(const HostFacts& f) {
    if (!f.free_kib)
        return {State::warning, "free memory", "unknown, for streakd does not answer", "see streakd above"};
    const bool little = *f.free_kib < little_memory_kib;
    return {little ? State::warning : State::good, "free memory", memory_text(*f.free_kib),
            little ? "give dom0 less (dom0_mem= on Streak's command line), or end a guest" : ""};
}

} // namespace

std::vector<Check> examine(const HostFacts& f) {
    std::vector<Check> checks{check_hypervisor(f), check_control_domain(f)};
    checks.push_back(f.root ? Check{State::good, "user", "root", {}}
                            : Check{State::warning, "user", "not root", "some checks see less; use sudo"});
    checks.push_back(check_devices(f));
    checks.push_back(f.xenfs ? Check{State::good, "xenfs", "mounted", {}}
                             : Check{State::bad, "xenfs", "not mounted", "mount -t xenfs xenfs /proc/xen"});
    checks.push_back(
        check_all("modules", f.modules, {"xen-blkback", "xen-netback", "loop"}, State::bad, "modprobe -a"));
    for (const auto& daemon : f.daemons) checks.push_back(check_daemon(daemon));
    checks.push_back(check_bridges(f));
    checks.push_back(check_memory(f));
    checks.push_back({State::good, "CPUs", std::to_string(f.cpus), {}});
    return checks;
}

std::string checks_text(const std::vector<Check>& checks, bool colour) {
    static constexpr std::string_view words[] = {"ok", "warning", "FAILED"};
    static constexpr std::string_view colours[] = {"\033[32m", "\033[33m", "\033[1;31m"};
    std::string text;
    for (const auto& check : checks) {
        const auto state = static_cast<std::size_t>(check.state);
        const std::string word(words[state]);
        const std::string gap(9 - word.size(), ' '), name_gap(17 - std::min<std::size_t>(check.name.size(), 16), ' ');
        text += (colour ? std::string(colours[state]) + word + "\033[0m" : word) + gap + check.name + name_gap +
                printable(check.found) + '\n';
        if (!check.remedy.empty()) text += std::string(9, ' ') + "→ " + printable(check.remedy) + '\n';
    }
    return text;
}

} // namespace streak::cli
