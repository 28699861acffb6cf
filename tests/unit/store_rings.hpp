// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/store.hpp"

// A machine of domains whose rings are pages of this process, shared with its children.

namespace streak::store {

using namespace std::string_literals;

struct FakeMachine : Machine {
    struct Guest {
        xenstore_domain_interface* page;
        std::uint32_t rung = 0; ///< how often the store rang
    };
    struct FakeLink : Link {
        FakeLink(Guest& of, std::uint32_t port) : guest(of), local(port) {}
        xenstore_domain_interface& page() override { return *guest.page; }
        EvtchnPort port() const override { return EvtchnPort(local); }
        void notify() override { ++guest.rung; }
        Guest& guest;
        std::uint32_t local;
    };

    FakeMachine() = default;
    FakeMachine(const FakeMachine&) = delete;
    ~FakeMachine() override {
        for (auto& [id, guest] : guests) ::munmap(guest.page, 4096);
    }
    xenstore_domain_interface& add(std::uint16_t id) {
        void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(page != MAP_FAILED);
        guests[id] = {static_cast<xenstore_domain_interface*>(page)};
        return *guests[id].page;
    }
    Result<std::unique_ptr<Link>> connect(DomId domain, EvtchnPort remote) override {
        const auto found = guests.find(domain.raw());
        if (found == guests.end()) return fail(Errno::ENOENT);
        if (remote.raw() == 666) return fail(Errno::EINVAL);
        return std::make_unique<FakeLink>(found->second, 100 + domain.raw());
    }
    std::map<std::uint16_t, Guest> guests;
};

/// A kernel at the other end of a ring: waits for nothing.
class Guest {
public:
    explicit Guest(xenstore_domain_interface& page) : page_(page) {}

    /// Writes as much as there is room for, in pieces of at most `piece`.
    std::size_t push(std::string_view bytes, std::size_t piece = 1 << 20) {
        std::size_t sent = 0;
        while (sent < bytes.size()) {
            const std::uint32_t room = XENSTORE_RING_SIZE - (produced_ - shared(page_.req_cons).load());
            const std::size_t n = std::min({std::size_t(room), piece, bytes.size() - sent});
            if (n == 0) break;
            for (std::size_t i = 0; i < n; ++i) page_.req[MASK_XENSTORE_IDX(produced_ + i)] = bytes[sent + i];
            produced_ += static_cast<std::uint32_t>(n);
            shared(page_.req_prod).store(produced_);
            sent += n;
        }
        return sent;
    }
    /// Messages that have come; a part of one waits for the rest.
    std::vector<Message> fetch(std::size_t most = 1 << 20) {
        std::string bytes;
        while (consumed_ != shared(page_.rsp_prod).load() && bytes.size() < most) {
            bytes += page_.rsp[MASK_XENSTORE_IDX(consumed_)];
            ++consumed_;
        }
        shared(page_.rsp_cons).store(consumed_);
        reader_.feed(bytes);
        std::vector<Message> messages;
        while (auto m = *reader_.next()) messages.push_back(*m);
        return messages;
    }
    void begin_anew() {
        reader_ = {};
        produced_ = consumed_ = 0;
    }
    [[nodiscard]] xenstore_domain_interface& page() { return page_; }

private:
    static std::atomic_ref<std::uint32_t> shared(std::uint32_t& index) { return std::atomic_ref(index); }

    xenstore_domain_interface& page_;
    MessageReader reader_;
    std::uint32_t produced_ = 0, consumed_ = 0;
};

/// A store with the control domain's kernel (0) and guests 1 and 2, which may be replaced by one that goes on.
struct Rings {
    Rings() {
        char name[] = "/tmp/streak-store.XXXXXX";
        directory = ::mkdtemp(name);
        for (const std::uint16_t id : {0, 1, 2}) guests.emplace(id, Guest(machine.add(id)));
        start();
        for (const std::string id : {"1", "2"}) {
            tool(XS_WRITE, "/local/domain/" + id + "/data\0"s);
            tool(XS_SET_PERMS, "/local/domain/" + id + "/data\0n"s + id + '\0');
            REQUIRE(tool(XS_INTRODUCE, id + "\0"s + "1\0"s + "7\0"s) == "OK\0"s);
        }
    }
    ~Rings() {
        ::unlink(file().c_str());
        ::unlink((file() + ".new").c_str());
        ::rmdir(directory.c_str());
    }
    [[nodiscard]] std::string file() const { return directory + "/state"; }
    void start() {
        store.reset();
        store = std::make_unique<Store>(machine, Environment{}, file(),
                                        [this](base::LogLevel, const std::string& line) { log.push_back(line); });
        REQUIRE(store->start(EvtchnPort(5)));
        tools = &store->service().open({.id = dom0_id, .privileged = true});
    }
    void run() {
        for (auto& [id, _] : guests) store->ring(EvtchnPort(100 + id));
        while (store->run(100)) {}
    }
    /// A request by the tools' socket; its reply.
    std::string tool(std::uint32_t type, const std::string& payload) {
        store->handle(*tools, {type, 1, 0, payload});
        MessageReader reader;
        for (std::size_t i = 0; i < tools->output.messages(); ++i) reader.feed(tools->output.message(i));
        tools->output.delivered(tools->output.bytes());
        std::string reply;
        while (auto m = *reader.next())
            if (m->type != XS_WATCH_EVENT) reply = m->payload;
        return reply;
    }
    void send(std::uint16_t id, std::uint32_t type, const std::string& payload, std::uint32_t transaction = 0) {
        const std::string bytes = encode(type, ++request, transaction, payload);
        std::size_t sent = 0;
        for (int i = 0; sent < bytes.size() && i < 100; ++i) {
            sent += guests.at(id).push(std::string_view(bytes).substr(sent));
            run();
        }
        REQUIRE(sent == bytes.size());
    }
    std::vector<std::string> payloads(std::uint16_t id) {
        std::vector<std::string> all;
        for (int i = 0; i < 100; ++i) {
            for (const Message& m : guests.at(id).fetch()) all.push_back(m.payload);
            run();
        }
        return all;
    }
    std::string ask(std::uint16_t id, std::uint32_t type, const std::string& payload, std::uint32_t transaction = 0) {
        send(id, type, payload, transaction);
        const auto all = payloads(id);
        REQUIRE(all.size() == 1);
        return all.front();
    }

    FakeMachine machine;
    std::map<std::uint16_t, Guest> guests;
    std::vector<std::string> log;
    std::string directory;
    std::unique_ptr<Store> store;
    Session* tools = nullptr;
    std::uint32_t request = 0;
};

} // namespace streak::store
