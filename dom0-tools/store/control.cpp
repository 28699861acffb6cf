// SPDX-License-Identifier: GPL-2.0-only
#include <span>

#include "store/request.hpp"

// XS_CONTROL: for tools of the control domain (docs/store.md).

namespace streak::store {

namespace {

constexpr std::string_view help = "apply CHANGE...\nhelp\nquota\nstats [DOMAIN]\n";

void add_line(std::string& text, std::string_view name, std::size_t value) {
    text.append(name).append(1, ' ').append(std::to_string(value)).append(1, '\n');
}

/// `wPATH VALUE`, `pPATH PERMISSIONS`, `rPATH`, as strings of a payload.
[[nodiscard]] Result<std::vector<Operation>> parse_changes(std::span<const std::string_view> words, DomId caller) {
    std::vector<Operation> operations;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const char what = words[i].empty() ? '\0' : words[i][0];
        if (!std::string_view("wpr").contains(what) || (what != 'r' && i + 1 == words.size()))
            return fail(Errno::EINVAL);
        TRY_ASSIGN(path, absolute_path(words[i].substr(1), caller));
        Operation operation{.kind = Operation::Kind::remove, .path = path, .value = {}};
        if (what == 'w') {
            operation.kind = Operation::Kind::write;
            operation.value = words[++i];
        } else if (what == 'p') {
            TRY_ASSIGN(permissions, Permissions::parse_text(words[++i]));
            operation.kind = Operation::Kind::set_permissions;
            operation.permissions = permissions;
        }
        operations.push_back(std::move(operation));
    }
    return operations;
}

/// The limits of a domain.
[[nodiscard]] std::string report(const Quota& q) {
    std::string text;
    add_line(text, "nodes", q.nodes);
    add_line(text, "node-size", q.node_bytes);
    add_line(text, "permissions", q.permissions);
    add_line(text, "watches", q.watches);
    add_line(text, "transactions", q.transactions);
    add_line(text, "transaction-size", q.transaction_bytes);
    add_line(text, "output", q.output_bytes);
    return text;
}

} // namespace

Service::Reply Service::Request::control() {
    TRY_ASSIGN(words, split_strings(message.payload));
    if (!caller().privileged) return fail(Errno::EACCES);
    if (words.empty()) return fail(Errno::EINVAL);
    if (words[0] == "apply") {
        TRY_ASSIGN(operations, parse_changes(std::span(words).subspan(1), caller().id));
        return apply(operations);
    }
    if (words[0] == "help") return with_nul(help);
    if (words[0] == "quota") return with_nul(report(service.environment_.quota));
    if (words[0] == "stats") return service.stats(words);
    return fail(Errno::EINVAL);
}

/// Counts of the whole store, then a line for each domain from the one that is named on, as many as fit.
Service::Reply Service::stats(std::span<const std::string_view> words) const {
    std::string text;
    SessionId from = 0;
    if (words.size() > 1) {
        TRY_ASSIGN(first, number<std::uint16_t>(words[1]));
        from = first;
    } else {
        std::size_t watches = 0, transactions = 0;
        for (const auto& [id, s] : sessions_) watches += watches_.count(id), transactions += s->transactions.size();
        add_line(text, "nodes", tree_.size());
        add_line(text, "sessions", sessions_.size());
        add_line(text, "watches", watches);
        add_line(text, "transactions", transactions);
        for (std::size_t type = 0; type < requests_.size(); ++type)
            if (requests_[type] != 0)
                add_line(text, "requests " + std::string(Request::types[type].name), requests_[type]);
        for (const auto& [quota, count] : refusals_) add_line(text, "refusals " + quota, count);
    }
    for (auto it = sessions_.lower_bound(from); it != sessions_.end() && it->second->of_domain(); ++it) {
        const Session& s = *it->second;
        std::string line = "domain " + std::to_string(s.caller.id.raw()) + " nodes " +
                           std::to_string(tree_.owned_by(s.caller.id)) + " watches " +
                           std::to_string(watches_.count(s.id)) + " transactions " +
                           std::to_string(s.transactions.size()) + " output " + std::to_string(s.output.bytes()) + "\n";
        if (text.size() + line.size() >= XENSTORE_PAYLOAD_MAX) break;
        text += line;
    }
    return with_nul(text);
}

} // namespace streak::store
