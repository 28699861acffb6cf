// SPDX-License-Identifier: GPL-2.0-only
// (First: it uses errno's macros, which lib/errno.hpp takes away.)
#include <nlohmann/json.hpp>

#include "manager_world.hpp"

#include <catch2/catch_test_macros.hpp>
#include <xen/sched.h>

#include "manager/routes.hpp"

using namespace streak;
using namespace streak::manager;
using namespace streak::test;
using nlohmann::json;

namespace {

struct Answered {
    unsigned status;
    json body;
};

Answered ask(World& world, const std::string& method, const std::string& path, const std::string& body = {},
             std::map<std::string, std::string> query = {}) {
    const ApiAnswer answer = answer_request(*world.manager, {method, path, std::move(query), body});
    return {answer.status, json::parse(answer.body)};
}

} // namespace

TEST_CASE("api: the life of a domain") {
    World world;
    auto made = ask(world, "POST", "/v1/domains", definition("web", disk_xml + nic_xml), {{"paused", "1"}});
    REQUIRE(made.status == 201);
    CHECK(made.body["schema"] == "streak.domain/1");
    CHECK(made.body["state"] == "paused");
    CHECK(made.body["id"] == 1);
    CHECK(made.body["uuid"] == web_uuid);
    CHECK(made.body["disks"][0]["target"] == "xvda");
    CHECK(made.body["disks"][0]["state"] == "initialising");
    CHECK(made.body["interfaces"][0]["vif"] == "vif1.0");
    CHECK(made.body["vcpus_list"].size() >= 1);
    CHECK(ask(world, "POST", "/v1/domains/web/unpause").body["schema"] == "streak.done/1");
    const auto list = ask(world, "GET", "/v1/domains");
    REQUIRE(list.body["domains"].size() == 1);
    for (const char* key : {"uuid", "name", "id", "state", "reason", "autostart", "persistent", "memory_kib",
                            "max_memory_kib", "vcpus", "max_vcpus", "cpu_time_ns", "uptime_s"})
        CHECK(list.body["domains"][0].contains(key));
    CHECK(list.body["domains"][0]["memory_kib"] == 8192);
    CHECK(ask(world, "GET", "/v1/domains/1").body["name"] == "web");
    CHECK(ask(world, "POST", "/v1/domains/web/memory", R"({"kib":12288})").status == 200);
    CHECK(ask(world, "POST", "/v1/domains/web/vcpus", R"({"count":2})").status == 200);
    CHECK(ask(world, "POST", "/v1/domains/web/pin", R"({"cpus":[0]})").status == 200);
    CHECK(ask(world, "POST", "/v1/domains/web/scheduler", R"({"weight":100})").status == 200);
    CHECK(ask(world, "POST", "/v1/domains/web/rename", R"({"name":"shop"})").status == 200);
    CHECK(ask(world, "GET", "/v1/stats").body["domains"][0]["read_bytes"] == 512);
    CHECK(ask(world, "POST", "/v1/domains/shop/destroy").status == 200);
    CHECK(ask(world, "GET", "/v1/domains/shop").status == 404);
}

TEST_CASE("api: definitions") {
    World world;
    const std::string xml = definition("web", {}, "<!-- mine --><title>t</title>");
    REQUIRE(ask(world, "PUT", "/v1/domains", xml).status == 200);
    REQUIRE(ask(world, "PUT", "/v1/domains", xml).status == 200);
    const ApiAnswer text = answer_request(*world.manager, {"GET", "/v1/domains/web/xml"});
    CHECK(text.body == xml);
    CHECK(std::string(text.content_type) == "application/xml");
    CHECK(ask(world, "GET", "/v1/domains/web").body["state"] == "shut-off");
    CHECK(ask(world, "GET", "/v1/domains/web").body["id"].is_null());
    CHECK(ask(world, "POST", "/v1/domains/web/autostart", R"({"on":true})").status == 200);
    CHECK(ask(world, "POST", "/v1/domains/web/start", R"({"paused":true})").status == 200);
    CHECK(ask(world, "DELETE", "/v1/domains/web").status == 200);
    CHECK(ask(world, "GET", "/v1/domains/web").body["persistent"] == false);
}

TEST_CASE("api: a refused definition comes back with all its findings") {
    World world;
    const auto refused = ask(world, "POST", "/v1/domains", "<domain type='xen'><name>a/b</name></domain>");
    CHECK(refused.status == 422);
    CHECK(refused.body["kind"] == "invalid");
    CHECK(refused.body["findings"].size() >= 1);
    const auto checked = ask(world, "POST", "/v1/validate", definition("web", nic_xml, {}, "/nope"));
    CHECK(checked.body["accepted"] == true);
    CHECK(checked.body["lacks"].size() == 1);
    CHECK(world.guests() == 0);
}

TEST_CASE("api: requests that make no sense are answered, and change nothing") {
    World world;
    REQUIRE(world.create(definition("web")));
    const std::string before = world.everything();
    const struct {
        const char *method, *path, *body;
        unsigned status;
    } requests[] = {
        {"GET", "/", "", 404},
        {"GET", "", "", 404},
        {"GET", "/v1", "", 404},
        {"GET", "/v1/domains/", "", 404},
        {"GET", "/v1/domains/web/", "", 404},
        {"GET", "/v1/domains//xml", "", 404},
        {"GET", "/v1/domains/nobody", "", 404},
        {"PATCH", "/v1/domains", "", 400},
        {"GET", "/v1/domains/web/start", "", 400},
        {"POST", "/v1/domains/web/memory", "", 400},
        {"POST", "/v1/domains/web/memory", "[]", 400},
        {"POST", "/v1/domains/web/memory", "{", 400},
        {"POST", "/v1/domains/web/memory", R"({"kib":"128M"})", 400},
        {"POST", "/v1/domains/web/memory", R"({"kib":-1})", 400},
        {"POST", "/v1/domains/web/memory", R"({"kib":1.5})", 400},
        {"POST", "/v1/domains/web/memory", R"({"memroy":1})", 400},
        {"POST", "/v1/domains/web/memory", R"({"kib":8192,"unit":"M"})", 400},
        {"POST", "/v1/domains/web/memory", R"({"kib":99999999999})", 422},
        {"POST", "/v1/domains/web/vcpus", R"({"count":0})", 422},
        {"POST", "/v1/domains/web/pin", R"({"cpus":"0"})", 400},
        {"POST", "/v1/domains/web/pin", R"({"cpus":[-1]})", 400},
        {"POST", "/v1/domains/web/rename", R"({"name":5})", 400},
        {"POST", "/v1/domains/web/rename", R"({"name":""})", 422},
        {"POST", "/v1/domains/web/autostart", R"({"on":true})", 409},
        {"POST", "/v1/domains/web/shutdown", R"({"wait":"x"})", 400},
        {"POST", "/v1/domains/web/disks", "<interface/>", 422},
        {"DELETE", "/v1/domains/web/disks/xvdz", "", 404},
        {"DELETE", "/v1/domains/web/interfaces/nonsense", "", 400},
        {"POST", "/v1/host/debug-keys", R"({"keys":""})", 400},
        {"POST", "/v1/host/debug-keys", R"({"keys":"@"})", 400},
        {"POST", "/v1/domains", "", 422},
        {"POST", "/v1/domains/0/destroy", "", 403},
    };
    for (const auto& request : requests) {
        INFO(request.method << " " << request.path << " " << request.body);
        const auto answered = ask(world, request.method, request.path, request.body);
        CHECK(answered.status == request.status);
        CHECK(answered.body["schema"] == "streak.error/1");
        CHECK_FALSE(answered.body["what"].get<std::string>().empty());
    }
    CHECK(world.everything() == before);
}

TEST_CASE("api: bad arguments of a query are refused") {
    World world;
    for (const char* value : {"", "x", "-1", "99999"})
        CHECK(ask(world, "GET", "/v1/events", {}, {{"wait", value}}).status == 400);
    CHECK(ask(world, "POST", "/v1/domains", definition("web"), {{"paused", "yes"}}).status == 400);
    CHECK(world.guests() == 0);
}

TEST_CASE("api: events after a number") {
    World world;
    REQUIRE(world.create(definition("web")));
    REQUIRE(world.manager->pause("web"));
    const auto answered = ask(world, "GET", "/v1/events", {}, {{"since", "1"}});
    REQUIRE(answered.body["events"].size() == 1);
    CHECK(answered.body["events"][0]["event"] == "paused");
    CHECK(answered.body["events"][0]["number"] == 2);
    CHECK(answered.body["last"] == 2);
}

TEST_CASE("api: what nobody owns is listed with its holder") {
    World world;
    REQUIRE(world.create(definition("web", disk_xml)));
    CHECK(ask(world, "GET", "/v1/leftovers").body["leftovers"].empty());
    world.store.nodes["/local/domain/9/name"] = "ghost";
    world.store.nodes["/local/domain/0/backend/vif/8/0/state"] = "6";
    world.host.backend_list = {{"vbd-7-51712", DomId(7)}};
    REQUIRE(world.hypervisor.create_domain({}));
    const auto left = ask(world, "GET", "/v1/leftovers").body["leftovers"];
    REQUIRE(left.size() == 4);
    for (const auto& item : left) CHECK_FALSE(item["holder"].get<std::string>().empty());
}

TEST_CASE("api: what a host tells") {
    World world;
    const auto host = ask(world, "GET", "/v1/host");
    CHECK(host.body["cpus"] == 2);
    CHECK(host.body["memory_kib"].get<std::uint64_t>() > 0);
    world.port.log = "(XEN) hello\n";
    CHECK(ask(world, "GET", "/v1/host/log").body["text"] == "(XEN) hello\n");
    CHECK(ask(world, "POST", "/v1/host/debug-keys", R"({"keys":"q"})").status == 200);
    CHECK(world.port.keys == "q");
}
