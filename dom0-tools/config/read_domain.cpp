// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "config/reader.hpp"

namespace streak::config {

namespace {

constexpr std::string_view kernel_remedy = "Copy the guest's kernel out of its disk and name it in <kernel>, or use a "
                                           "grub-xen image as <kernel>: it reads the guest's own grub.cfg";

void read_identity(Reader& reader, const Element& root, Definition& definition) {
    if (const Element* const name = root.child("name"); !name)
        reader.refuse_missing(root, "name", "every domain has a name", "Add <name>NAME</name>");
    else if (const auto good = check_name(name->value); !good) reader.refuse(*name, good.error().text());
    else definition.name = name->value;
    if (const Element* const uuid = root.child("uuid"); reader.takes(uuid)) {
        definition.uuid = base::Uuid::parse(trimmed(uuid->value));
        if (!definition.uuid || *definition.uuid == base::Uuid{})
            reader.refuse(*uuid, "expected a UUID; found " + quoted(uuid->value),
                          "Leave the element out, and one is made");
    }
    if (const Element* const title = root.child("title"); reader.takes(title))
        definition.title = reader.text(*title, 1024).value_or("");
    if (const Element* const description = root.child("description"); reader.takes(description))
        definition.description = description->value;
}

/// KiB, rounded up to whole pages.
std::optional<std::uint64_t> memory_kib(Reader& reader, const Element& element) {
    const Node* const unit = element.attribute("unit");
    const auto bytes_each = unit_bytes(unit ? trimmed(unit->value) : "");
    if (!bytes_each)
        return reader.refused(*unit, "expected b, KB, KiB, MB, MiB, GB, GiB, TB or TiB; found " + quoted(unit->value));
    const std::string_view text = trimmed(element.value);
    const auto count = parse_number(text);
    if (!count)
        return reader.refused(element, "expected a number; found " + quoted(text),
                              "Write the unit as an attribute: <" + element.name + " unit='MiB'>128</" + element.name +
                                  ">");
    const unsigned __int128 bytes = static_cast<unsigned __int128>(*count) * *bytes_each;
    const auto kib = static_cast<std::uint64_t>(std::min<unsigned __int128>((bytes + 4095) / 4096, max_memory_kib)) * 4;
    if (kib < min_memory_kib || kib > max_memory_kib)
        return reader.refused(element,
                              cat("expected from ", min_memory_kib, " KiB to 16 TiB; found ", text, " ",
                                  unit ? std::string_view(unit->value) : "KiB"),
                              unit ? "" : "Without a unit the number counts KiB; did you mean unit='MiB'?");
    if (bytes % 4096 != 0) reader.note(element, cat("rounded up to whole pages: ", kib, " KiB"));
    return kib;
}

void read_memory(Reader& reader, const Element& root, Definition& definition) {
    const Element* const memory = root.child("memory");
    const Element* const current = root.child("currentMemory");
    if (!memory) return reader.refuse_missing(root, "memory", "a domain needs memory", "Add <memory unit='MiB'>…");
    if (!reader.takes(memory)) return;
    definition.max_memory_kib = memory_kib(reader, *memory).value_or(0);
    definition.memory_kib = definition.max_memory_kib;
    if (!reader.takes(current)) return;
    definition.memory_kib = memory_kib(reader, *current).value_or(0);
    if (reader.takes(memory) && definition.memory_kib > definition.max_memory_kib)
        reader.refuse(*current,
                      cat("expected at most <memory>, ", definition.max_memory_kib, " KiB; found ",
                          definition.memory_kib, " KiB"),
                      "Raise <memory>, or lower <currentMemory>");
}

void read_os_type(Reader& reader, const Element& os) {
    const Element* const type = os.child("type");
    if (!type) return reader.refuse_missing(os, "type", "expected <type>linux</type>");
    if (!reader.takes(type)) return;
    constexpr std::string_view pv_only =
        "Only paravirtual guests run here: <type arch='x86_64' machine='xenpv'>linux</type>";
    if (const auto text = trimmed(type->value); text != "linux" && text != "xen")
        reader.refuse(*type, "expected linux or xen; found " + quoted(text), std::string(pv_only));
    if (const Node* const machine = type->attribute("machine"); machine && machine->value != "xenpv")
        reader.refuse(*machine, "expected xenpv; found " + quoted(machine->value), std::string(pv_only));
    if (const Node* const arch = type->attribute("arch"); arch && arch->value != "x86_64")
        reader.refuse(*arch, "expected x86_64; found " + quoted(arch->value), "Only 64-bit guests run here");
}

/// The kernel's command line, with `root` put in front as Xen's tools do.
void read_command_line(Reader& reader, const Element& os, Definition& definition) {
    const Element* const cmdline = os.child("cmdline");
    const Element* const root = os.child("root");
    if (cmdline && reader.takes(cmdline)) definition.command_line = trimmed(cmdline->value);
    if (reader.takes(root)) {
        if ((" " + definition.command_line).find(" root=") != std::string::npos)
            reader.ignore(*root, "<cmdline> says root= already");
        else definition.command_line = trimmed(cat("root=", trimmed(root->value), " ", definition.command_line));
    }
    if (definition.command_line.size() > max_command_line)
        reader.refuse(cmdline ? *cmdline : *root,
                      cat("expected at most ", max_command_line, " bytes; found ", definition.command_line.size()));
}

void read_boot(Reader& reader, const Element& root, Definition& definition) {
    const Element* const os = root.child("os");
    const Element* const bootloader = root.child("bootloader");
    if (reader.takes(bootloader)) definition.bootloader = trimmed(bootloader->value);
    const Element* const kernel = os ? os->child("kernel") : nullptr;
    if (!kernel && bootloader)
        reader.refuse(*bootloader, "no bootloader is run in dom0: it would read the guest's disk with dom0's rights",
                      std::string(kernel_remedy));
    else if (!kernel)
        reader.refuse_missing(os ? *os : root, os ? "kernel" : "os", "a paravirtual guest needs a kernel",
                              std::string(kernel_remedy));
    else if (bootloader) reader.ignore(*bootloader, "<kernel> is given");
    if (!reader.takes(os)) return;
    read_os_type(reader, *os);
    if (reader.takes(kernel)) definition.kernel = reader.path(*kernel).value_or("");
    if (const Element* const initrd = os->child("initrd"); reader.takes(initrd))
        definition.initrd = reader.path(*initrd).value_or("");
    read_command_line(reader, *os, definition);
}

void read_action(Reader& reader, const Element& root, std::string_view name, Action& action) {
    const Element* const element = root.child(name);
    if (!reader.takes(element)) return;
    const std::string_view text = trimmed(element->value);
    if (name == "on_crash" && (text == "coredump-destroy" || text == "coredump-restart")) {
        action = text == "coredump-destroy" ? Action::destroy : Action::restart;
        return reader.note(*element, cat("taken as ", text.substr(9), ": no core dump is written"),
                           "Use preserve to look at a crashed guest");
    }
    action = reader.choice<Action>(*element, action_names).value_or(action);
}

void read_features(Reader& reader, const Element& features) {
    const Element* const xen = features.child("xen");
    if (!reader.takes(xen)) return;
    for (const Element& feature : xen->children) {
        if (!reader.takes(&feature)) continue;
        constexpr std::string_view switches[] = {"on", "off"};
        const Node* const state = feature.attribute("state");
        if (!state || reader.choice<std::size_t>(*state, switches) == 0u)
            reader.refuse(feature, "devices of the host are not passed through, and only they need it",
                          "Remove the element");
    }
}

void read_seclabel(Reader& reader, const Element& seclabel, Definition& definition) {
    const std::string_view model = seclabel.get("model");
    const Element* const label = seclabel.child("label");
    if (seclabel.get("type") != "static" || (!model.empty() && model != "flask" && model != "xen"))
        return reader.ignore(seclabel,
                             "only static labels of the model flask are of the guest; no process in dom0 runs it");
    if (!label) return reader.refuse_missing(seclabel, "label", "a static label needs one");
    if (!reader.takes(label)) return;
    const std::string_view text = trimmed(label->value);
    if (std::ranges::count(text, ':') < 2 || text.size() > 256 || text.find_first_of(" \t\r\n") != text.npos)
        return reader.refuse(*label, "expected user:role:type; found " + quoted(text));
    if (!definition.seclabel.empty()) return reader.refuse(seclabel, "a domain has one label", "Keep one of them");
    definition.seclabel = text;
}

} // namespace

void read_domain(Reader& reader, const Element& root, Definition& definition) {
    constexpr std::string_view types[] = {"xen"};
    if (const Node* const type = root.attribute("type"); !type)
        reader.refuse_missing(root, "@type", "expected <domain type='xen'>");
    else (void)reader.choice<int>(*type, types);
    read_identity(reader, root, definition);
    read_memory(reader, root, definition);
    read_vcpus(reader, root, definition);
    read_boot(reader, root, definition);
    read_action(reader, root, "on_poweroff", definition.on_poweroff);
    read_action(reader, root, "on_reboot", definition.on_reboot);
    read_action(reader, root, "on_crash", definition.on_crash);
    const auto section = [&](std::string_view name, auto read) {
        if (const Element* const element = root.child(name); reader.takes(element)) read(*element);
    };
    section("cputune", [&](const Element& e) { read_cputune(reader, e, definition); });
    section("clock", [&](const Element& e) { read_clock(reader, e, definition); });
    section("features", [&](const Element& e) { read_features(reader, e); });
    section("devices", [&](const Element& e) { read_devices(reader, e, definition); });
    for (const Element& child : root.children)
        if (child.name == "seclabel" && reader.takes(&child)) read_seclabel(reader, child, definition);
}

} // namespace streak::config
