// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/manager.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>

#include "fake_port.hpp"

// Everything streakd works with, in one process: a fake hypervisor, store, dom0 and builder, a directory for its files.
// Each effect counts as a step, so that a test can let every one of them fail in turn, or kill streakd there.

namespace streak::test {

using manager::Manager;

/// Counts effects. `fail_at`: that one fails, once. `kill_at`: streakd dies before that one: nothing has effect any more.
struct Steps {
    unsigned count = 0;
    std::optional<unsigned> fail_at, kill_at;
    bool dead = false, failed = false;
    std::function<void()> at_death = [] {};

    /// May the effect happen?
    bool step() {
        if (dead) return false;
        ++count;
        if (count == kill_at) {
            dead = true;
            at_death();
            return false;
        }
        if (count == fail_at) failed = true;
        return count != fail_at;
    }
    void reset() { count = 0, fail_at.reset(), kill_at.reset(), dead = failed = false; }
};

/// The fake hypervisor, with steps.
class StepPort final : public hv::Port {
public:
    StepPort(FakePort& port, Steps& steps) : port_(port), steps_(steps) {}
    Result<std::uint64_t> call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) override {
        if (!steps_.step()) return fail(Errno::EIO);
        return port_.call(number, arguments);
    }
    std::span<std::byte> allocate(std::size_t bytes) override { return port_.allocate(bytes); }
    void release(std::span<std::byte> memory) override { port_.release(memory); }
    Result<std::span<std::byte>> map_foreign(DomId domain, std::span<const std::uint64_t> frames, bool write) override {
        return port_.map_foreign(domain, frames, write);
    }
    Result<std::span<std::byte>> map_resource(DomId domain, std::uint32_t type, std::uint32_t id, std::uint64_t first,
                                              std::uint64_t count) override {
        return port_.map_resource(domain, type, id, first, count);
    }
    void unmap(std::span<std::byte> mapping) override { port_.unmap(mapping); }

private:
    FakePort& port_;
    Steps& steps_;
};

class FakeStore final : public device::Store {
public:
    explicit FakeStore(Steps& steps) : steps_(steps) {}

    std::map<std::string, std::string> nodes;
    std::vector<DomId> introduced;
    unsigned requests = 0;
    /// What guests and backends do while streakd waits; whether they changed something.
    std::function<bool()> react = [] { return false; };

    Result<> apply(const device::Changes& changes) override {
        if (!request()) return fail(Errno::EIO);
        for (const auto& change : changes) {
            using Kind = store::Client::Change::Kind;
            if (change.kind == Kind::write) nodes[change.path] = change.value;
            if (change.kind == Kind::write && change.path.starts_with("/local/domain/0/backend/") &&
                change.path.ends_with("/state"))
                new_backends_.push_back(change.path.substr(0, change.path.rfind('/')));
            if (change.kind == Kind::remove)
                std::erase_if(nodes, [&](const auto& node) { return below(node.first, change.path); });
        }
        return {};
    }
    Result<std::optional<std::string>> find(const std::string& path) override {
        if (!request()) return fail(Errno::EIO);
        const auto found = nodes.find(path);
        if (found == nodes.end()) return std::nullopt;
        return found->second;
    }
    Result<std::vector<std::string>> list(const std::string& path) override {
        if (!request()) return fail(Errno::EIO);
        std::set<std::string> names;
        for (const auto& [node, value] : nodes)
            if (below(node, path) && node.size() > path.size())
                names.insert(node.substr(path.size() + 1, node.find('/', path.size() + 1) - path.size() - 1));
        return std::vector<std::string>(names.begin(), names.end());
    }
    Result<> introduce(DomId domain, std::uint64_t, EvtchnPort) override {
        if (!request()) return fail(Errno::EIO);
        introduced.push_back(domain);
        return {};
    }
    Result<std::unique_ptr<Watch>> watch(const std::vector<std::string>& paths) override {
        requests += static_cast<unsigned>(paths.size()) - 1;
        if (!request()) return fail(Errno::EIO);
        return std::make_unique<FakeWatch>(*this);
    }

    /// dom0's drivers look at the backends they have heard of, and leave a node in each, be it still there or not.
    bool drivers_look() {
        for (const std::string& backend : new_backends_) {
            nodes[backend + "/feature"] = "1";
            if (const auto state = nodes.find(backend + "/state"); state != nodes.end()) state->second = "2";
        }
        return !std::exchange(new_backends_, {}).empty();
    }

private:
    class FakeWatch final : public Watch {
    public:
        explicit FakeWatch(FakeStore& store) : store_(store) {}
        Result<bool> wait(device::Milliseconds) override {
            if (store_.steps_.dead) return fail(Errno::EIO);
            return std::exchange(first_, false) || store_.react();
        }

    private:
        FakeStore& store_;
        bool first_ = true;
    };

    static bool below(const std::string& node, const std::string& path) {
        return node == path || (node.starts_with(path) && node[path.size()] == '/');
    }
    bool request() {
        ++requests;
        return steps_.step();
    }

    Steps& steps_;
    std::vector<std::string> new_backends_;
};

class FakeHost final : public device::Host {
public:
    FakeHost(Steps& steps, FakeStore& store) : steps_(steps), store_(store) {}
    ~FakeHost() override {
        for (const auto& [writer, owner] : loops_) ::close(writer);
    }

    std::set<std::string> bridges{"br0"}, files{"/d.img", "/e.img"}, modules{"vbd", "vif"};
    std::vector<std::string> connected; ///< interfaces that were set up
    bool fail_vifs = false;
    std::vector<device::Backend> backend_list; ///< what dom0's kernel shows
    std::function<bool(const device::Address&)> held_by_driver = [](const device::Address&) { return false; };

    base::Outcome<> check_backend(device::Kind kind) override {
        if (modules.contains(kind == device::Kind::disk ? "vbd" : "vif")) return {};
        return base::error(base::ErrorKind::unavailable, "no backend", {}, {}, "Load the module");
    }
    base::Outcome<device::FileIdentity> check_disk(const config::Disk& disk) override {
        if (!files.contains(disk.path)) return base::error(base::ErrorKind::not_found, "there is no " + disk.path);
        return device::FileIdentity{1, std::hash<std::string>()(disk.path)};
    }
    base::Outcome<> check_bridge(const std::string& bridge) override {
        if (bridges.contains(bridge)) return {};
        return base::error(base::ErrorKind::not_found, "there is no bridge " + bridge);
    }
    base::Outcome<device::OpenDisk> open_disk(const config::Disk&, const std::string& owner) override {
        if (!steps_.step()) return base::error(base::ErrorKind::internal, "no loop device");
        int ends[2];
        if (::pipe(ends) < 0) return base::error(base::ErrorKind::internal, "no pipe");
        loops_.emplace_back(ends[1], owner);
        return device::OpenDisk{{7, static_cast<std::uint32_t>(loops_.size())}, base::Fd(ends[0])};
    }
    base::Outcome<> connect_vif(const device::VifSetup& setup, device::Milliseconds) override {
        if (!steps_.step() || fail_vifs) return base::error(base::ErrorKind::timeout, "no interface");
        connected.push_back(setup.name);
        return {};
    }
    std::vector<device::Backend> backends() override { return backend_list; }
    bool has_backend(const device::Address& at) override { return held_by_driver(at); }
    /// Those that streakd or a backend still holds.
    std::vector<Loop> loops() override {
        std::vector<Loop> held;
        for (std::size_t i = 0; i < loops_.size(); ++i) {
            pollfd state{loops_[i].first, POLLOUT, 0};
            const bool by_streakd = ::poll(&state, 1, 0) >= 0 && !(state.revents & POLLERR);
            const std::string number = fmt::format("7:{:x}", i + 1);
            const bool by_backend = std::ranges::any_of(store_.nodes, [&](const auto& node) {
                return node.first.ends_with("/physical-device") && node.second == number;
            });
            if (by_streakd || by_backend) held.push_back({"loop0", loops_[i].second});
        }
        return held;
    }
    device::DiskCounters disk_counters(const device::Address&) override { return {1, 2, 512, 1024}; }
    device::InterfaceCounters interface_counters(const std::string&) override { return {10, 20}; }

private:
    Steps& steps_;
    FakeStore& store_;
    std::vector<std::pair<int, std::string>> loops_; ///< a pipe's writing end each: it knows when the reader is gone
};

class FakeBuilder final : public manager::Builder {
public:
    explicit FakeBuilder(Steps& steps) : steps_(steps) {}
    base::Outcome<manager::KernelPointer> load(const std::string& file) override {
        static const char kernel = 0;
        if (file == "/nope") return base::error(base::ErrorKind::not_found, "there is no kernel /nope");
        return manager::KernelPointer(std::shared_ptr<void>(), reinterpret_cast<const builder::Kernel*>(&kernel));
    }
    base::Outcome<> check(const builder::Request& request) override {
        if (request.memory_kib >= 4096 && request.kernel) return {};
        return base::error(base::ErrorKind::invalid, "the guest has too little memory");
    }
    base::Outcome<builder::Built> build(hv::Hypervisor& hypervisor, const builder::Request& request) override {
        if (!steps_.step()) return base::error(base::ErrorKind::invalid, "can't be built");
        const auto frames = hypervisor.populate(request.domain, Pfn(0), request.memory_kib / 4);
        if (!frames) return base::hypercall_error("no memory", frames.error());
        return builder::Built{Mfn((*frames)[1]), Mfn((*frames)[2]), frames->size()};
    }

private:
    Steps& steps_;
};

struct World {
    Steps steps;
    FakePort port;
    StepPort step_port{port, steps};
    hv::Hypervisor hypervisor{step_port};
    FakeStore store{steps};
    FakeHost host{steps, store};
    FakeBuilder builder{steps};
    std::int64_t now_s = 1000;
    device::Milliseconds patience{0}; ///< of a streakd that is opened
    std::filesystem::path root;
    std::unique_ptr<Manager> manager;

    World() {
        char name[] = "/tmp/streak-test-XXXXXX";
        root = ::mkdtemp(name);
        steps.at_death = [this] { copy(root, dead_copy()); };
        open();
    }
    ~World() {
        manager.reset();
        std::filesystem::remove_all(root);
        std::filesystem::remove_all(dead_copy());
    }

    /// streakd, started (anew).
    void open() {
        manager.reset();
        manager::Environment environment{hypervisor,
                                         store,
                                         host,
                                         builder,
                                         {root},
                                         [](const std::string& text, bool device) -> base::Outcome<config::Parsed> {
                                             return device ? config::parse_device_xml(text) : config::parse_xml(text);
                                         },
                                         [this] { return now_s; },
                                         patience};
        auto opened = Manager::open(std::move(environment));
        if (!opened || !(*opened)->recover()) throw std::runtime_error("streakd does not start");
        manager = std::move(*opened);
    }
    /// What a killed streakd leaves: what it did up to its death, and its files as they were then.
    void revive() {
        manager.reset();
        copy(dead_copy(), root);
        steps.reset();
        open();
    }

    /// revive(), where that streakd is killed before its own `step`.
    void revive_until(unsigned step) {
        copy(dead_copy(), root);
        steps.reset();
        steps.kill_at = step;
        open();
    }

    base::Outcome<manager::DomainPointer> create(const std::string& xml, bool paused = false) {
        return manager->create(xml, config::parse_xml(xml).definition, paused);
    }
    base::Outcome<manager::DomainPointer> define(const std::string& xml) {
        return manager->define(xml, config::parse_xml(xml).definition);
    }
    base::Outcome<> attach(const std::string& ref, const std::string& xml) {
        return manager->attach(ref, config::parse_device_xml(xml).definition);
    }
    /// The guest of this domain ends; streakd notices.
    void end_guest(const std::string& name, unsigned reason) {
        const auto domain = *manager->registry().find(name);
        port.find(domain->running->id)->shutdown_reason = reason;
        notice();
    }
    void notice() {
        for (const auto& end : manager->find_ends()) manager->handle_end(end);
    }
    /// Everything that exists outside streakd, as text.
    [[nodiscard]] std::string everything() {
        std::string text = "domains:";
        for (const auto& [id, domain] : port.domains) text += " " + std::to_string(id);
        text += "\nfree pages: " + std::to_string(port.free_pages()) + "\n";
        for (const auto& [path, value] : store.nodes) text += path + "=" + value + "\n";
        for (const auto& loop : host.loops()) text += "loop of " + loop.owner + "\n";
        for (const auto& file : std::filesystem::directory_iterator(root / "run/streak/domains"))
            text += file.path().filename().string() + "\n";
        text += "journal: " + std::to_string(std::filesystem::file_size(root / "run/streak/journal")) + "\n";
        return text;
    }
    [[nodiscard]] std::size_t guests() const { return port.domains.size() - 1; }

private:
    [[nodiscard]] std::filesystem::path dead_copy() const { return root.string() + ".dead"; }
    static void copy(const std::filesystem::path& from, const std::filesystem::path& to) {
        std::filesystem::remove_all(to);
        std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
    }
};

inline constexpr const char* web_uuid = "11111111-2222-3333-4444-555555555555";

/// A definition of `name`, with more elements in <devices> and at the top.
inline std::string definition(const std::string& name, const std::string& devices = {}, const std::string& more = {},
                              const std::string& kernel = "/boot/vmlinuz") {
    return "<domain type='xen'><name>" + name + "</name>" +
           (name == "web" ? "<uuid>" + std::string(web_uuid) + "</uuid>" : "") +
           "<memory unit='KiB'>16384</memory><currentMemory unit='KiB'>8192</currentMemory><vcpu current='1'>2</vcpu>" +
           "<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>" + kernel + "</kernel></os>" + more +
           "<devices>" + devices + "</devices></domain>";
}
inline const std::string disk_xml =
    "<disk type='file' device='disk'><source file='/d.img'/><target dev='xvda' bus='xen'/></disk>";
inline const std::string other_disk_xml =
    "<disk type='file' device='disk'><source file='/e.img'/><target dev='xvdb' bus='xen'/></disk>";
inline const std::string nic_xml =
    "<interface type='bridge'><mac address='00:16:3e:00:00:01'/><source bridge='br0'/></interface>";

} // namespace streak::test
