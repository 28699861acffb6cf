// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "hv/buffer_pool.hpp"

using streak::hv::BufferPool;

namespace {

/// Counts what a pool asks the system for.
struct Pages {
    std::vector<std::span<std::byte>> mapped;
    unsigned unmaps = 0;
    bool exhausted = false;
    BufferPool pool{
        [this](std::size_t bytes) -> std::span<std::byte> {
            if (exhausted) return {};
            auto* const memory =
                static_cast<std::byte*>(std::aligned_alloc(1 << 18, (bytes + (1 << 18) - 1) & ~((1ul << 18) - 1)));
            std::memset(memory, 0, bytes);
            mapped.push_back({memory, bytes});
            return {memory, bytes};
        },
        [this](std::span<std::byte> memory) {
            ++unmaps;
            std::erase_if(mapped, [&](auto m) { return m.data() == memory.data() && m.size() == memory.size(); });
            std::free(memory.data());
        }};

    Pages() = default;
    Pages(const Pages&) = delete;
    ~Pages() {
        for (const auto memory : mapped) std::free(memory.data());
    }
};

} // namespace

TEST_CASE("small buffers come from memory that is mapped already", "[hv]") {
    Pages pages;
    for (int i = 0; i < 1000; ++i) {
        const auto buffer = pages.pool.allocate(144);
        REQUIRE(buffer.size() == 144);
        CHECK(std::ranges::all_of(buffer, [](std::byte b) { return b == std::byte{}; }));
        std::ranges::fill(buffer, std::byte{0xff});
        pages.pool.release(buffer);
    }
    CHECK(pages.mapped.size() == 1);
    CHECK(pages.mapped[0].size() == 64 << 10);
}

TEST_CASE("large buffers are given back to the system", "[hv]") {
    Pages pages;
    const auto buffer = pages.pool.allocate((256 << 10) + 1);
    CHECK(buffer.size() == (256 << 10) + 1);
    CHECK(pages.mapped[0].size() == (256 << 10) + 4096);
    pages.pool.release(buffer);
    CHECK(pages.unmaps == 1);
    CHECK(pages.mapped.empty());
}

TEST_CASE("no memory is no buffer", "[hv]") {
    Pages pages;
    pages.exhausted = true;
    CHECK(pages.pool.allocate(8).empty());
    CHECK(pages.pool.allocate(1 << 20).empty());
}

TEST_CASE("buffers in use never overlap, whatever their sizes, and pages are used again", "[hv]") {
    Pages pages;
    std::mt19937 random(1);
    std::map<std::byte*, std::size_t> used;
    for (int i = 0; i < 20000; ++i) {
        if (used.size() > 40 || (!used.empty() && random() % 2)) {
            const auto at = std::next(used.begin(), random() % used.size());
            pages.pool.release({at->first, at->second});
            used.erase(at);
            continue;
        }
        const std::size_t size = 1 + (random() & ((1u << random() % 19) - 1));
        const auto buffer = pages.pool.allocate(size);
        REQUIRE(buffer.size() == size);
        REQUIRE(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
        if (size <= 4096) REQUIRE(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096 + size <= 4096);
        const auto next = used.lower_bound(buffer.data());
        REQUIRE((next == used.end() || buffer.data() + size <= next->first));
        if (next != used.begin()) REQUIRE(std::prev(next)->first + std::prev(next)->second <= buffer.data());
        std::ranges::fill(buffer, std::byte{0xaa});
        used[buffer.data()] = size;
    }
    std::size_t total = 0;
    for (const auto memory : pages.mapped) total += memory.size();
    CHECK(total < 16u << 20);
}

TEST_CASE("a pool serves several threads", "[hv]") {
    Pages pages;
    std::vector<std::thread> threads;
    for (unsigned id = 1; id <= 4; ++id)
        threads.emplace_back([&pages, id] {
            for (int i = 0; i < 2000; ++i) {
                const auto buffer = pages.pool.allocate(200);
                std::ranges::fill(buffer, static_cast<std::byte>(id));
                if (!std::ranges::all_of(buffer, [id](std::byte b) { return b == static_cast<std::byte>(id); }))
                    std::abort();
                pages.pool.release(buffer);
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(pages.mapped.size() == 1);
}
