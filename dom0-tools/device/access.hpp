// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "config/definition.hpp"
#include "device/layout.hpp"

// What devices need of the world outside; unit tests have fakes of both (tests/unit/manager_world.hpp).

namespace streak::device {

using Milliseconds = std::chrono::milliseconds;

/// The store. May be used by several threads.
class Store {
public:
    virtual ~Store() = default;
    /// All changes or none; what is absent may be removed.
    [[nodiscard]] virtual Result<> apply(const Changes& changes) = 0;
    [[nodiscard]] virtual Result<std::optional<std::string>> find(const std::string& path) = 0;
    /// Names below a node; none when it is absent.
    [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
    [[nodiscard]] virtual Result<> introduce(DomId domain, std::uint64_t frame, EvtchnPort port) = 0;

    /// Watches that end with their owner.
    class Watch {
    public:
        virtual ~Watch() = default;
        /// Waits until something changed; false: nothing did. The first call returns at once.
        [[nodiscard]] virtual Result<bool> wait(Milliseconds limit) = 0;
    };
    [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(const std::vector<std::string>& paths) = 0;
};

/// A disk's file or device that two guests must not write.
struct FileIdentity {
    std::uint64_t device = 0, inode = 0;
    auto operator<=>(const FileIdentity&) const = default;
};

/// A block device ready for xen-blkback. A loop device ends when neither this nor the backend holds it.
struct OpenDisk {
    BlockNumber number;
    base::Fd hold{};
};

/// What is to become of an interface that xen-netback made.
struct VifSetup {
    std::string name;   ///< vif3.0
    std::string rename; ///< empty: it keeps its name
    std::string bridge; ///< empty: none
    bool up = true;
};

/// A device of dom0's backends, as /sys/bus/xen-backend lists it.
struct Backend {
    std::string name; ///< vif-3-0
    DomId domain{};
};

struct DiskCounters {
    std::uint64_t reads = 0, writes = 0, bytes_read = 0, bytes_written = 0;
};
struct InterfaceCounters {
    std::uint64_t received_bytes = 0, sent_bytes = 0; ///< as the guest counts
};

/// Linux in dom0: files, loop devices, bridges.
class Host {
public:
    virtual ~Host() = default;
    /// Nothing is changed: is there a backend for this kind of device?
    [[nodiscard]] virtual base::Outcome<> check_backend(Kind kind) = 0;
    /// Nothing is changed: can the file or device be used as asked?
    [[nodiscard]] virtual base::Outcome<FileIdentity> check_disk(const config::Disk& disk) = 0;
    /// Nothing is changed: is there such a bridge?
    [[nodiscard]] virtual base::Outcome<> check_bridge(const std::string& bridge) = 0;
    /// `owner` marks a loop device, so that it can be told whose it is.
    [[nodiscard]] virtual base::Outcome<OpenDisk> open_disk(const config::Disk& disk, const std::string& owner) = 0;
    /// Waits for xen-netback to make the interface, then sets it up.
    [[nodiscard]] virtual base::Outcome<> connect_vif(const VifSetup& setup, Milliseconds limit) = 0;

    [[nodiscard]] virtual std::vector<Backend> backends() = 0;
    [[nodiscard]] virtual bool has_backend(const Address& at) = 0;
    struct Loop {
        std::string device, owner;
    };
    /// Loop devices that open_disk() made.
    [[nodiscard]] virtual std::vector<Loop> loops() = 0;
    [[nodiscard]] virtual DiskCounters disk_counters(const Address& at) = 0;
    [[nodiscard]] virtual InterfaceCounters interface_counters(const std::string& vif) = 0;
};

} // namespace streak::device
