// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "console/domain_console.hpp"

using namespace streak;
using namespace streak::console;

namespace {

std::string read_all(const base::Fd& fd) {
    std::string all;
    std::array<char, 4096> piece;
    for (ssize_t size; (size = ::read(fd.get(), piece.data(), piece.size())) > 0;)
        all.append(piece.data(), static_cast<std::size_t>(size));
    return all;
}

base::Fd reader(const Terminal& terminal) {
    base::Fd fd(::open(terminal.path().c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

Terminal make() {
    auto terminal = Terminal::open();
    REQUIRE(terminal);
    return std::move(*terminal);
}

} // namespace

TEST_CASE("console terminal: who comes late sees the last bytes, then all") {
    Terminal terminal = make();
    CHECK_FALSE(terminal.look());
    terminal.put("before ");
    {
        const base::Fd fd = reader(terminal);
        CHECK(terminal.look());
        CHECK(terminal.attached());
        terminal.put("after\n");
        CHECK(read_all(fd) == "before after\n");
    }
    CHECK(terminal.look());
    CHECK_FALSE(terminal.attached());
    CHECK(terminal.take_missed() == 0);
}

TEST_CASE("console terminal: nobody's output is bounded and not counted as missed") {
    Terminal terminal = make();
    for (int i = 0; i < 100; ++i) terminal.put(std::string(1000, static_cast<char>('a' + i % 26)));
    const base::Fd fd = reader(terminal);
    terminal.look();
    CHECK(read_all(fd).size() == Terminal::kept_bytes);
    CHECK(terminal.take_missed() == 0);
}

TEST_CASE("console terminal: a slow reader misses the oldest bytes, which are counted") {
    Terminal terminal = make();
    const base::Fd fd = reader(terminal);
    terminal.look();
    constexpr std::size_t sent = 200'000;
    for (std::size_t i = 0; i < sent / 100; ++i) terminal.put(std::string(100, 'x'));
    terminal.put("end");
    CHECK(terminal.pending());
    std::string seen;
    for (int tries = 0; tries < 1000 && !seen.ends_with("end"); ++tries) {
        seen += read_all(fd);
        terminal.flush();
        ::usleep(1000);
    }
    CHECK_FALSE(terminal.pending());
    const auto missed = terminal.take_missed();
    CHECK(missed > 100'000);
    CHECK(seen.size() + missed == sent + 3);
    CHECK(terminal.take_missed() == 0);
}

TEST_CASE("console terminal: what was typed counts even when the other end is closed at once") {
    Terminal terminal = make();
    {
        const base::Fd fd = reader(terminal);
        REQUIRE(::write(fd.get(), "typed\n", 6) == 6);
    }
    CHECK(terminal.look());
    CHECK(terminal.attached());
    terminal.put("kept for who comes");
    CHECK_FALSE(terminal.pending());
    std::array<char, 64> room;
    CHECK(terminal.read(room) == "typed\n");
    CHECK(terminal.look());
    CHECK_FALSE(terminal.attached());
    const base::Fd fd = reader(terminal);
    terminal.look();
    CHECK(read_all(fd) == "kept for who comes");
}

TEST_CASE("console terminal: the next reader finds neither echo nor old output") {
    Terminal terminal = make();
    {
        const base::Fd fd = reader(terminal);
        terminal.look();
        termios settings{};
        REQUIRE(::tcgetattr(fd.get(), &settings) == 0);
        CHECK((settings.c_lflag & (ECHO | ICANON)) == 0);
        settings.c_lflag |= ECHO | ICANON;
        REQUIRE(::tcsetattr(fd.get(), TCSANOW, &settings) == 0);
        terminal.put("never read\n");
    }
    std::array<char, 64> room;
    static_cast<void>(terminal.read(room)); // the echo
    CHECK(terminal.look());
    const base::Fd fd = reader(terminal);
    terminal.look();
    termios settings{};
    REQUIRE(::tcgetattr(fd.get(), &settings) == 0);
    CHECK((settings.c_lflag & (ECHO | ICANON)) == 0);
    CHECK(read_all(fd).empty());
}

TEST_CASE("console: output goes to log and terminal, input to the guest, and the guest's room decides") {
    std::string folder = "/tmp/streak-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    xencons_interface shared{};
    Terminal terminal = make();
    const base::Fd fd = reader(terminal);
    DomainConsole console({DomId(7),
                           {},
                           "we\x1b"
                           "b"},
                          Ring(shared), LogFile(folder + "/x.log", {}), std::move(terminal));
    console.terminal()->look();
    console.note("started");
    CHECK_FALSE(console.move_output());
    shared.out[0] = 'h';
    shared.out[1] = '\x1b';
    shared.out_prod = 2;
    CHECK(console.move_output());
    CHECK(shared.out_cons == 2);
    console.note("ended");
    CHECK(read_all(fd) == "h\x1b");

    REQUIRE(::write(fd.get(), "typed", 5) == 5);
    CHECK(console.wants_input());
    CHECK(console.move_input());
    CHECK(shared.in_prod == 5);
    CHECK(std::string(shared.in, 5) == "typed");
    shared.in_prod = 1024;
    CHECK_FALSE(console.wants_input());
    REQUIRE(::write(fd.get(), "more", 4) == 4);
    CHECK_FALSE(console.move_input());
    shared.in_cons = 1024;
    CHECK(console.move_input());

    shared.out_prod = 0x80000000;
    CHECK(console.move_output());
    CHECK(shared.out_cons == 0x80000000);

    const base::Fd log(::open((folder + "/x.log").c_str(), O_RDONLY));
    const std::string text = read_all(log);
    CHECK(text.find("Z domain 7 \"we^[b\" started ---\nh^[\n\x1e--- ") != std::string::npos);
    CHECK(text.ends_with(" domain 7 \"we^[b\" ended ---\n"));
    ::unlink((folder + "/x.log").c_str());
    ::rmdir(folder.c_str());
}
