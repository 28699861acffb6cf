// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include "console/log_file.hpp"

using namespace streak;
using namespace streak::console;
namespace fs = std::filesystem;

namespace {

const std::string uuid_text = "01234567-89ab-cdef-0123-456789abcdef";

struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "streak-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path); }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ifstream file(path / name);
        return {std::istreambuf_iterator(file), {}};
    }
    [[nodiscard]] std::set<std::string> names() const {
        std::set<std::string> all;
        for (const auto& entry : fs::directory_iterator(path)) all.insert(entry.path().filename());
        return all;
    }
    fs::path path;
};

} // namespace

TEST_CASE("console log: names") {
    const auto uuid = *base::Uuid::parse(uuid_text);
    CHECK(log_name(uuid) == uuid_text + ".log");
    CHECK(owner_of(uuid_text + ".log") == uuid);
    CHECK(owner_of(uuid_text + ".log.12") == uuid);
    for (const std::string wrong : {"", ".1.gz", ".", ".x", "1"})
        CHECK(owner_of(uuid_text + ".lo" + wrong) == std::nullopt);
    CHECK(owner_of(uuid_text + ".log.1.gz") == std::nullopt);
    CHECK(owner_of("messages.log") == std::nullopt);
    CHECK(owner_of("z" + uuid_text.substr(1) + ".log") == std::nullopt);
}

TEST_CASE("console log: the renames of a rotation, the oldest first") {
    using Renames = std::vector<std::pair<std::string, std::string>>;
    CHECK(rotation("a", 3) == Renames{{"a.2", "a.3"}, {"a.1", "a.2"}, {"a", "a.1"}});
    CHECK(rotation("a", 1) == Renames{{"a", "a.1"}});
    CHECK(rotation("a", 0).empty());
}

TEST_CASE("console log: the oldest logs of domains that are no more go first, those of living ones never") {
    const std::string other = "11111111-89ab-cdef-0123-456789abcdef", alive = "22222222-89ab-cdef-0123-456789abcdef";
    const auto lives = [&](const base::Uuid& uuid) { return uuid == *base::Uuid::parse(alive); };
    const std::vector<LogEntry> entries{{uuid_text + ".log", 100, 10},
                                        {uuid_text + ".log.1", 50, 20},
                                        {other + ".log", 200, 10},
                                        {alive + ".log", 1, 1000},
                                        {"notes.txt", 1, 1000}};
    CHECK(surplus(entries, 40, lives).empty());
    CHECK(surplus(entries, 39, lives) == std::vector<std::string>{uuid_text + ".log.1"});
    CHECK(surplus(entries, 15, lives) == std::vector<std::string>{uuid_text + ".log", uuid_text + ".log.1"});
    CHECK(surplus(entries, 0, lives).size() == 3);
}

TEST_CASE("console log: is rotated by size and goes on after a restart") {
    const Folder folder;
    const std::string path = folder.path / "x.log";
    const LogLimits limits{.bytes = 10, .old_files = 2};
    {
        LogFile log(path, limits);
        log.write("12345678");
        CHECK(folder.content("x.log") == "12345678");
    }
    LogFile log(path, limits);
    log.write("9"); // on a line of its own: the earlier one was not ended
    CHECK(folder.content("x.log") == "12345678\n9");
    log.write("ab");
    CHECK(folder.content("x.log") == "ab");
    CHECK(folder.content("x.log.1") == "12345678\n9");
    log.write("a piece longer than the limit stays whole");
    log.write("c");
    log.write("defghijklm");
    CHECK(folder.content("x.log") == "defghijklm");
    CHECK(folder.content("x.log.1") == "c");
    CHECK(folder.content("x.log.2") == "a piece longer than the limit stays whole");
    CHECK(folder.names() == std::set<std::string>{"x.log", "x.log.1", "x.log.2"});
}

TEST_CASE("console log: without old files it is emptied") {
    const Folder folder;
    LogFile log(folder.path / "x.log", {.bytes = 10, .old_files = 0});
    log.write("12345678");
    log.write("9abc");
    CHECK(folder.content("x.log") == "9abc");
    CHECK(folder.names().size() == 1);
}

TEST_CASE("console log: a log that can't be written is missed, not waited for") {
    const Folder folder;
    const fs::path place = folder.path / "missing";
    LogFile log(place / "x.log", {});
    log.write("lost");
    fs::create_directory(place);
    log.write("lost too"); // the file is tried again a second later
    CHECK(fs::is_empty(place));
    ::usleep(1'100'000);
    log.write("written");
    CHECK(folder.content("missing/x.log") == "\n\x1e--- 12 bytes could not be written ---\nwritten");
}

TEST_CASE("console log: no link is followed") {
    const Folder folder;
    fs::create_symlink(folder.path / "target", folder.path / "x.log");
    LogFile log(folder.path / "x.log", {});
    log.write("text");
    CHECK_FALSE(fs::exists(folder.path / "target"));
}

TEST_CASE("console log: surplus logs are removed from the disk") {
    const Folder folder;
    for (const char* name : {".log", ".log.1"}) std::ofstream(folder.path / (uuid_text + name)) << "0123456789";
    std::ofstream(folder.path / "other") << "0123456789";
    remove_surplus_logs(folder.path, {.all_bytes = 0}, [](const base::Uuid&) { return true; });
    CHECK(folder.names().size() == 3);
    remove_surplus_logs(folder.path, {.all_bytes = 0}, [](const base::Uuid&) { return false; });
    CHECK(folder.names() == std::set<std::string>{"other"});
}
