// SPDX-License-Identifier: GPL-2.0-only

// A sequence of API requests from whoever may write to the socket, against a fake host. A line is a request: method,
// path with its query, a blank, the body. Whatever they ask: each has an answer in JSON, and when every domain has been
// destroyed, nothing is left. (First: it uses errno's macros, which lib/errno.hpp takes away.)
#include <nlohmann/json.hpp>

#include "../unit/manager_world.hpp"

#include <sstream>

#include "input.hpp"
#include "manager/routes.hpp"

using namespace streak;
using fuzz::require;

namespace {

fuzz::Fault kept_domain("kept-domain");

/// Bodies that a mutation is not likely to find, by a letter.
std::string body_of(const std::string& text) {
    if (text == "W") return test::definition("web", test::disk_xml + test::nic_xml);
    if (text == "D") return test::definition("db");
    if (text == "d") return test::other_disk_xml;
    if (text == "n") return test::nic_xml;
    return text;
}

manager::ApiRequest parse(const std::string& line) {
    manager::ApiRequest request;
    std::istringstream words(line);
    std::string target;
    words >> request.method >> target;
    words.get();
    std::getline(words, request.body, '\0');
    request.body = body_of(request.body);
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != target.npos) {
        const auto equals = target.find('=', question);
        if (equals != target.npos)
            request.query[target.substr(question + 1, equals - question - 1)] = target.substr(equals + 1);
    }
    request.query.erase("wait"); // nobody waits in a fuzzer
    if (request.body.find("wait") != request.body.npos) request.body.clear();
    return request;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    test::World world;
    const std::string empty = world.everything();
    std::istringstream lines(std::string(reinterpret_cast<const char*>(data), std::min<std::size_t>(bytes, 4096)));
    unsigned most = 40;
    for (std::string line; most-- && std::getline(lines, line);) {
        const auto answer = manager::answer_request(*world.manager, parse(line));
        require(answer.status >= 200 && answer.status < 600);
        if (std::string_view(answer.content_type) == "application/json")
            require(nlohmann::json::parse(answer.body).contains("schema"));
    }
    for (const auto& domain : world.manager->registry().all()) {
        if (kept_domain) break;
        require(world.manager->destroy(domain->uuid.text()).has_value());
        (void)world.manager->undefine(domain->uuid.text());
    }
    require(world.everything() == empty);
    return 0;
}
