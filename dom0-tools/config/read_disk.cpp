// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>

#include "config/reader.hpp"

namespace streak::config {

namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> known) {
    return std::ranges::find(known, text) != known.end();
}

/// Where the disk's content comes from; refused when it is neither a file nor a block device.
std::optional<Disk::Source> read_type(Reader& reader, const Element& disk) {
    const Node* const type = disk.attribute("type");
    if (!type || type->value == "file") return Disk::Source::file;
    if (type->value == "block") return Disk::Source::block;
    return reader.refused(*type, "expected file or block; found " + quoted(type->value),
                          "Attach the storage in dom0 and use its block device");
}

/// libvirt's drivers of Xen: all that leave the bytes as they are become the kernel's back-end.
void read_driver(Reader& reader, const Element& driver) {
    const Node* const name = driver.attribute("name");
    if (name && !one_of(name->value, {"phy", "file", "tap", "tap2", "qemu", "loop"}))
        reader.refuse(*name, "expected phy, file, tap or qemu; found " + quoted(name->value), "Remove the attribute");
    const Node* const type = driver.attribute("type");
    if (type && !one_of(type->value, {"raw", "aio"}))
        reader.refuse(*type,
                      "expected raw; found " + quoted(type->value) +
                          ": the kernel serves plain bytes, and no user process with the right to parse image formats "
                          "runs in dom0",
                      "Convert the image: qemu-img convert -O raw OLD NEW, then name NEW and type='raw'");
}

void read_source(Reader& reader, const Element& element, Disk& disk) {
    const bool file = disk.source == Disk::Source::file;
    const Element* const source = element.child("source");
    const Node* const path = source ? source->attribute(file ? "file" : "dev") : nullptr;
    if (source && !path) {
        reader.refuse_missing(*source, file ? "@file" : "@dev", "expected an absolute path",
                              cat("A disk of type ", file ? "'file' names a file" : "'block' names a device"));
    } else if (path) {
        disk.path = reader.path(*path).value_or("");
    } else if (!disk.cdrom) {
        reader.refuse_missing(element, "source", "only a CD drive may be empty");
    }
    const Node* const policy = source ? source->attribute("startupPolicy") : nullptr;
    if (policy && policy->value != "mandatory")
        reader.ignore(*policy, "a file that is missing when the guest starts is an error");
}

void read_target(Reader& reader, const Element& element, Disk& disk, const Definition& definition) {
    const Element* const target = element.child("target");
    const Node* const dev = target ? target->attribute("dev") : nullptr;
    if (!dev) return reader.refuse_missing(element, "target", "expected <target dev='xvda' bus='xen'/>");
    const auto number = virtual_device_number(dev->value);
    if (!number)
        return reader.refuse(*dev,
                             "expected xvda to xvdzzzz, hda to hdd or sda to sdp, with a partition's number or "
                             "without; found " +
                                 quoted(dev->value),
                             "Write dev='xvda' bus='xen'");
    if (std::ranges::any_of(definition.disks,
                            [&](const Disk& other) { return virtual_device_number(other.target) == number; }))
        return reader.refuse(*dev, "there is a disk " + quoted(dev->value) + " already");
    disk.target = dev->value;
    const Node* const bus = target->attribute("bus");
    if (bus && one_of(bus->value, {"ide", "scsi", "sata"}))
        reader.ignore(*bus, "the disk is on the xenbus; its name decides its number");
    else if (bus && bus->value != "xen")
        reader.refuse(*bus, "expected xen; found " + quoted(bus->value), "Write dev='xvda' bus='xen'");
}

void read_backing_store(Reader& reader, const Element& disk) {
    const Element* const backing = disk.child("backingStore");
    if (backing && backing->attribute("type"))
        reader.refuse(*backing, "a raw image has no backing file",
                      "Convert the image: qemu-img convert -O raw OLD NEW");
}

} // namespace

void read_disk(Reader& reader, const Element& element, Definition& definition) {
    Disk disk;
    const auto source = read_type(reader, element);
    if (const Node* const device = element.attribute("device"); device && !one_of(device->value, {"disk", "cdrom"}))
        reader.refuse(*device, "expected disk or cdrom; found " + quoted(device->value));
    disk.cdrom = element.get("device") == "cdrom";
    disk.read_only = disk.cdrom || reader.takes(element.child("readonly"));
    disk.shareable = reader.takes(element.child("shareable"));
    if (const Element* const driver = element.child("driver"); reader.takes(driver)) read_driver(reader, *driver);
    if (source) {
        disk.source = *source;
        read_source(reader, element, disk);
    }
    read_target(reader, element, disk, definition);
    read_backing_store(reader, element);
    definition.disks.push_back(std::move(disk));
}

} // namespace streak::config
