// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include "cli/text.hpp"
#include "store/client.hpp"

// `streak store …`: the store that guests and tools share, by its own socket.

namespace streak::cli {
namespace {

using store::Client;

/// What the store's error code means for a node.
Failure store_failure(const std::string& path, Errno code) {
    const auto node = printable(path);
    switch (code) {
    case Errno::ENOENT: return base::Error{base::ErrorKind::not_found, "the store has no node " + node};
    case Errno::EACCES:
        return base::Error{base::ErrorKind::refused, "the store refuses " + node, "permission to it", "none",
                           "run as root"};
    case Errno::EINVAL:
        return base::Error{base::ErrorKind::usage, "'" + node + "' is no path of the store",
                           "a path such as /local/domain/0 of letters, digits and -/_@"};
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

Outcome<> ls(Context& context, const std::string& path, bool recursive) {
    TRY_ASSIGN(client, connect(context));
    Json json = store_json();
    Json& nodes = json["nodes"] = Json::array();
    std::string text;
    if (recursive) {
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
    return context.print(json, text);
}

Outcome<> read(Context& context, const std::string& path) {
    TRY_ASSIGN(client, connect(context));
    TRY_ASSIGN(value, for_node(path, client.read(path)));
    Json json = store_json();
    json.update({{"path", path}, {"value", value}});
    // Guests write values: what goes to a terminal must not steer it; files and pipes get the bytes.
    return context.print(json, (context.terminal() ? printable(value) : value) + '\n');
}

Outcome<> watch(Context& context, const std::string& path, const Options::Value& count) {
    TRY_ASSIGN(most, parse_number("count", count.value_or("0"), count ? 1 : 0, UINT32_MAX));
    TRY_ASSIGN(client, connect(context));
    TRY(for_node(path, client.watch(path, "streak")));
    // The store tells of the watched node once at the start; that is no change.
    for (std::uint64_t events = 0; !count || events <= most;) {
        TRY_ASSIGN(event, for_node(path, client.next_event(std::chrono::hours(1))));
        if (event && events++ != 0)
            context.print({{"schema", "streak.store-event/1"}, {"path", event->path}}, printable(event->path) + '\n');
    }
    return {};
}

Outcome<> stats(Context& context) {
    TRY_ASSIGN(client, connect(context));
    TRY_ASSIGN(text, for_node("stats", client.request(XS_CONTROL, std::string_view("stats\0", 6))));
    while (text.ends_with('\0')) text.pop_back();
    Json json = store_json();
    json["stats"] = text;
    return context.print(json, text);
}

/// A verb that changes something and has nothing to show.
template <class Change> Action changing(const std::string& path, Change change) {
    return [&path, change](Context& context) -> Outcome<> {
        TRY_ASSIGN(client, connect(context));
        TRY(for_node(path, change(client)));
        return context.print(store_json(), {});
    };
}

const std::string& path_argument(Options& options) { return options.argument("PATH", "the node, from / on"); }

} // namespace

Action declare_store_ls(Options& options) {
    const auto& path = options.argument("PATH", "the node (/)", false);
    const auto& recursive = options.flag("--recursive", "all below it, with values");
    return [&path, &recursive](Context& context) { return ls(context, path.empty() ? "/" : path, recursive); };
}

Action declare_store_read(Options& options) {
    const auto& path = path_argument(options);
    return [&path](Context& context) { return read(context, path); };
}

Action declare_store_write(Options& options) {
    const auto& path = options.argument("PATH", "the node, from / on; nodes above it are made");
    const auto& value = options.argument("VALUE", "its value");
    return changing(path, [&path, &value](Client& client) { return client.write(path, value); });
}

Action declare_store_rm(Options& options) {
    const auto& path = path_argument(options);
    return changing(path, [&path](Client& client) { return client.remove(path); });
}

Action declare_store_watch(Options& options) {
    const auto& path = options.argument("PATH", "a node, @introduceDomain or @releaseDomain");
    const auto& count = options.value("--count", "N", "end after N changes");
    return [&path, &count](Context& context) { return watch(context, path, count); };
}

Action declare_store_stats(Options&) { return stats; }

} // namespace streak::cli
