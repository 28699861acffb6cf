// SPDX-License-Identifier: GPL-2.0-only

#include "config/reader.hpp"

namespace streak::config {

namespace {

void read_controller(Reader& reader, const Element& controller, Definition& definition) {
    if (controller.get("type") != "xenbus") return reader.ignore(controller, "a paravirtual guest has the xenbus only");
    if (const Node* const frames = controller.attribute("maxGrantFrames"))
        definition.max_grant_frames =
            static_cast<std::uint32_t>(reader.number(*frames, 1, max_grant_frames).value_or(0));
    if (const Node* const channels = controller.attribute("maxEventChannels"))
        definition.max_event_channels =
            static_cast<std::uint32_t>(reader.number(*channels, 1, max_event_channels).value_or(0));
}

void read_console(Reader& reader, const Element& console, bool& first) {
    const Element* const target = console.child("target");
    const std::string_view type = target ? target->get("type") : "";
    if (!first || (!type.empty() && type != "xen" && type != "serial"))
        return reader.ignore(console, "a guest has one console, hvc0");
    first = false;
    if (console.get("type") != "pty")
        reader.note(console, "the console is a terminal and a log file, whatever its type");
}

/// A channel of the hypervisor's is waited for by something in the guest; one of virtio is not even seen by it.
void read_channel(Reader& reader, const Element& channel) {
    const Element* const target = channel.child("target");
    if (target && target->get("type") == "xen")
        reader.refuse(channel, "a guest has one console and no further channels", "Talk to it over the network");
}

void limit(Reader& reader, const Element& devices, std::size_t count, std::string_view what) {
    if (count > max_devices)
        reader.refuse(devices, cat("expected at most ", max_devices, " ", what, "; found ", count));
}

} // namespace

void read_devices(Reader& reader, const Element& devices, Definition& definition) {
    bool first_console = true;
    for (const Element& device : devices.children) {
        if (device.name == "channel") read_channel(reader, device);
        if (!reader.takes(&device)) continue;
        if (device.name == "disk") read_disk(reader, device, definition);
        if (device.name == "interface") read_interface(reader, device, definition);
        if (device.name == "controller") read_controller(reader, device, definition);
        if (device.name == "console") read_console(reader, device, first_console);
        if (device.name == "memballoon" && device.get("model") != "xen")
            reader.ignore(device, "the kernel's Xen balloon is there always");
    }
    limit(reader, devices, definition.disks.size(), "disks");
    limit(reader, devices, definition.interfaces.size(), "interfaces");
}

} // namespace streak::config
