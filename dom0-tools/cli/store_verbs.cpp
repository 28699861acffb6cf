// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <functional>
#include <optional>

#include "cli/text.hpp"
#include "lib/ids.hpp"
#include "store/client.hpp"

// `streak store …`: the store that guests and tools share, by its own socket.

namespace streak::cli {
namespace {

using store::Client;

struct PathValues {
    std::string path;
    bool recursive = false;
};

struct WriteValues {
    std::string path, value;
};

struct WatchValues {
    std::string path;
    std::optional<std::string> count;
};

/// What the store's error code means for a node.
Failure store_failure(const std::string& path, Errno code) {
    const auto node = printable(path);
    switch (code) {
    case Errno::ENOENT: return base::Error{base::ErrorKind::not_found, "the store has no node " + node};
    case Errno::EACCES:
        return base::Error{base::ErrorKind::refused, "the store refuses " + node, "permission to it", "none",
                           "run as root"};
    case Errno::EINVAL:
        return base::Error{base::ErrorKind::usage,
                           "'" + node + "' is no path of the store",
                           "a path such as /local/domain/0 of letters, digits and -/_@",
                           {},
                           {}};
    case Errno::EAGAIN: return silence_error("streak-stored", Context::usual_limit);
    case Errno::EIO:
        return base::Error{base::ErrorKind::unavailable, "the store ended the connection", {}, {}, "try again"};
    default: return base::hypercall_error("the store refuses " + node, code).error();
    }
}

template <class T> Outcome<T> for_node(const std::string& path, Result<T> result) {
    if (!result) return std::unexpected(store_failure(path, result.error()));
    if constexpr (std::is_void_v<T>) return {};
    else return std::move(*result);
}

/// A connection whose answers come in time or not at all.
Outcome<Client> connect(const Context& context) {
    const auto socket = context.path(Client::default_socket);
    // Tells why there is none, in the same words as for streakd.
    TRY(connect_to(socket, "streak-stored"));
    TRY_ASSIGN(client, for_node(socket, Client::connect(socket.c_str())));
    const timeval limit{.tv_sec = Context::usual_limit.count(), .tv_usec = 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(client.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return std::move(client);
}

Json store_json() { return {{"schema", "streak.store/1"}}; }

std::string below(const std::string& path, const std::string& child) {
    return path == "/" ? '/' + child : path + '/' + child;
}

/// All nodes below `path` with their values. A node that vanishes meanwhile is left out.
Outcome<> collect(Client& client, const std::string& path, Json& nodes) {
    TRY_ASSIGN(children, for_node(path, client.list(path)));
    for (const auto& child : children) {
        const auto node = below(path, child);
        const auto value = client.find(node);
        if (!value) return std::unexpected(store_failure(node, value.error()));
        if (!*value) continue;
        nodes.push_back({{"path", node}, {"value", **value}});
        if (auto more = collect(client, node, nodes); !more && more.error().error.kind != base::ErrorKind::not_found)
            return more;
    }
    return {};
}

Outcome<> ls(Context& context, const PathValues& v) {
    const auto path = v.path.empty() ? std::string("/") : v.path;
    TRY_ASSIGN(client, connect(context));
    Json json = store_json();
    Json& nodes = json["nodes"] = Json::array();
    std::string text;
    if (v.recursive) {
        TRY(collect(client, path, nodes));
        for (const auto& node : nodes)
            text += printable(text_of(node, "path")) + " = \"" + printable(text_of(node, "value")) + "\"\n";
    } else {
        TRY_ASSIGN(children, for_node(path, client.list(path)));
        for (const auto& child : children) {
            nodes.push_back({{"path", below(path, child)}});
            text += printable(child) + '\n';
        }
    }
    context.print(json, text);
    return {};
}

Outcome<> read(Context& context, const PathValues& v) {
    TRY_ASSIGN(client, connect(context));
    TRY_ASSIGN(value, for_node(v.path, client.read(v.path)));
    Json json = store_json();
    json.update({{"path", v.path}, {"value", value}});
    // Guests write values: what goes to a terminal must not steer it; files and pipes get the bytes.
    context.print(json, (context.terminal() ? printable(value) : value) + '\n');
    return {};
}

Outcome<> write(Context& context, const WriteValues& v) {
    TRY_ASSIGN(client, connect(context));
    TRY(for_node(v.path, client.write(v.path, v.value)));
    context.print(store_json(), {});
    return {};
}

Outcome<> rm(Context& context, const PathValues& v) {
    TRY_ASSIGN(client, connect(context));
    TRY(for_node(v.path, client.remove(v.path)));
    context.print(store_json(), {});
    return {};
}

Outcome<> watch(Context& context, const WatchValues& v) {
    std::uint32_t left = 0;
    if (v.count) {
        TRY_ASSIGN(count, parse_number("count", *v.count, 1, UINT32_MAX));
        left = count;
    }
    TRY_ASSIGN(client, connect(context));
    TRY(for_node(v.path, client.watch(v.path, "streak")));
    // The store tells of the watched node once at the start; that is no change.
    for (bool initial = true;; initial = false) {
        std::optional<Client::Event> event;
        while (!event) {
            TRY_ASSIGN(next, for_node(v.path, client.next_event(std::chrono::hours(1))));
            event = std::move(next);
        }
        if (initial) continue;
        context.print({{"schema", "streak.store-event/1"}, {"path", event->path}}, printable(event->path) + '\n');
        if (v.count && --left == 0) return {};
    }
}

Outcome<> stats(Context& context, const PathValues&) {
    TRY_ASSIGN(client, connect(context));
    TRY_ASSIGN(text, for_node("stats", client.request(XS_CONTROL, std::string_view("stats\0", 6))));
    while (text.ends_with('\0')) text.pop_back();
    Json json = store_json();
    json["stats"] = text;
    context.print(json, text);
    return {};
}

std::shared_ptr<PathValues> path_values(Options& options) {
    auto values = std::make_shared<PathValues>();
    options.argument("PATH", values->path, "the node, from / on");
    return values;
}

} // namespace

Action declare_store_ls(Options& options) {
    auto values = std::make_shared<PathValues>();
    options.optional_argument("PATH", values->path, "the node (/)");
    options.flag("--recursive", values->recursive, "all below it, with values");
    return with(values, +ls);
}

Action declare_store_read(Options& options) { return with(path_values(options), +read); }

Action declare_store_write(Options& options) {
    auto values = std::make_shared<WriteValues>();
    options.argument("PATH", values->path, "the node, from / on; nodes above it are made");
    options.argument("VALUE", values->value, "its value");
    return with(values, +write);
}

Action declare_store_rm(Options& options) { return with(path_values(options), +rm); }

Action declare_store_watch(Options& options) {
    auto values = std::make_shared<WatchValues>();
    options.argument("PATH", values->path, "a node, @introduceDomain or @releaseDomain");
    options.value("--count", "N", values->count, "end after N changes");
    return with(values, +watch);
}

Action declare_store_stats(Options&) {
    return [](Context& context) { return stats(context, {}); };
}

} // namespace streak::cli
