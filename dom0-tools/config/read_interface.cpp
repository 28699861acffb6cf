// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "config/reader.hpp"

namespace streak::config {

namespace {

/// Name of a bridge, network or device in `node`.
std::optional<std::string> read_name(Reader& reader, const Node& node, bool network) {
    if (network) return reader.text(node, 64);
    const std::string fault = device_name_fault(node.value);
    if (!fault.empty()) return reader.refused(node, fault + "; found " + quoted(node.value));
    return node.value;
}

void read_source(Reader& reader, const Element& element, Interface& interface) {
    const Node* const type = element.attribute("type");
    if (!type) return reader.refuse_missing(element, "@type", "expected bridge, network or ethernet");
    const auto known = reader.choice<Interface::Source>(*type, Interface::source_names,
                                                        "An interface is on a bridge of dom0: type='bridge'");
    if (!known) return;
    interface.source = *known;
    if (*known == Interface::Source::ethernet) return;
    const bool network = *known == Interface::Source::network;
    const Element* const source = element.child("source");
    const Node* const name = source ? source->attribute(network ? "network" : "bridge") : nullptr;
    if (!name)
        return reader.refuse_missing(element, network ? "source/@network" : "source/@bridge",
                                     network ? "expected a network's name" : "expected a bridge's name");
    interface.bridge = read_name(reader, *name, network).value_or("");
    if (interface.bridge.empty()) reader.refuse(*name, "the name is empty");
}

void read_mac(Reader& reader, const Element& element, Interface& interface, const Definition& definition) {
    const Element* const mac = element.child("mac");
    if (!reader.takes(mac)) return;
    const Node* const address = mac->attribute("address");
    if (!address) return reader.refuse_missing(*mac, "@address", "expected an address such as 00:16:3e:01:02:03");
    const auto parsed = parse_mac(trimmed(address->value));
    if (!parsed || *parsed == MacAddress{})
        return reader.refuse(*address, "expected an address such as 00:16:3e:01:02:03; found " + quoted(address->value),
                             "Leave <mac> out, and one is made");
    if ((*parsed)[0] & 1)
        return reader.refuse(
            *address, "the address of a single interface has an even first byte; found " + quoted(address->value),
            "00:16:3e is for Xen guests");
    if (std::ranges::find(definition.interfaces, *parsed, &Interface::mac) != definition.interfaces.end())
        return reader.refuse(*address, "another interface has " + quoted(address->value) + " already");
    interface.mac = *parsed;
}

void read_ip(Reader& reader, const Element& ip, Interface& interface) {
    const Node* const address = ip.attribute("address");
    if (!address) return reader.refuse_missing(ip, "@address", "expected an IP address");
    if (!is_ip_address(address->value))
        return reader.refuse(*address, "expected an IP address; found " + quoted(address->value));
    if (interface.ips.size() == 16) return reader.refuse(ip, "expected at most 16 addresses");
    interface.ips.push_back(address->value);
}

/// Xen's standard script puts the device on its bridge, which streakd does itself.
void read_script(Reader& reader, const Element& element, Interface& interface) {
    const Element* const script = element.child("script");
    if (!reader.takes(script)) return;
    const std::string_view path = script->get("path");
    if (path != "vif-bridge" && !path.ends_with("/vif-bridge"))
        return reader.refuse(*script, "Streak runs no scripts; found " + quoted(path),
                             "Remove <script>; watch `streak events` to act when an interface comes up");
    interface.script = path;
    reader.ignore(*script, "Streak puts the interface on its bridge itself");
}

/// Names that tools make up for running guests are no part of a definition.
bool is_generated(std::string_view name) { return name.starts_with("vif") || name.starts_with("vnet"); }

void read_device_name(Reader& reader, const Element& element, Interface& interface) {
    const Element* const target = element.child("target");
    const Node* const dev = target ? target->attribute("dev") : nullptr;
    if (!dev) return;
    if (is_generated(dev->value)) return reader.ignore(*dev, "names that begin with vif and vnet are made anew");
    interface.vifname = read_name(reader, *dev, false).value_or("");
}

void read_model(Reader& reader, const Element& element, Interface& interface) {
    const Element* const model = element.child("model");
    if (!reader.takes(model)) return;
    const Node* const type = model->attribute("type");
    if (!type) return reader.refuse_missing(*model, "@type", "expected netfront");
    interface.model = reader.text(*type, 64).value_or("");
    if (interface.model != "netfront") reader.ignore(*model, "a paravirtual guest has netfront");
}

void read_limit(Reader& reader, const Element& element, Interface& interface) {
    const Element* const bandwidth = element.child("bandwidth");
    const Element* const outbound = bandwidth ? bandwidth->child("outbound") : nullptr;
    if (!reader.takes(outbound)) return;
    const Node* const average = outbound->attribute("average");
    if (!average) return reader.ignore(*outbound, "without @average there is no limit");
    interface.outbound_kib_per_s = reader.number(*average, 1, max_kib_per_s).value_or(0);
}

} // namespace

void read_interface(Reader& reader, const Element& element, Definition& definition) {
    Interface interface;
    read_source(reader, element, interface);
    read_mac(reader, element, interface, definition);
    for (const Element& child : element.children)
        if (child.name == "ip" && reader.takes(&child)) read_ip(reader, child, interface);
    read_script(reader, element, interface);
    read_device_name(reader, element, interface);
    read_model(reader, element, interface);
    read_limit(reader, element, interface);
    if (const Element* const link = element.child("link"); reader.takes(link)) {
        constexpr std::string_view states[] = {"up", "down"};
        if (const Node* const state = link->attribute("state"))
            interface.link_up = reader.choice<std::size_t>(*state, states) != 1u;
    }
    if (const Element* const port = element.child("port"); reader.takes(port) && port->get("isolated") == "yes")
        reader.refuse(*port, "a plain bridge does not separate its ports", "Make a bridge per group of guests in dom0");
    definition.interfaces.push_back(std::move(interface));
}

} // namespace streak::config
