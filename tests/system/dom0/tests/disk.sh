# SPDX-License-Identifier: GPL-2.0-only
# Reads the first 8 MiB of a disk, whose checksum the host knows; writes them, inverted in order of their
# halves, behind; reads that back past the page cache. The host checks the file once more after power-off.
case $(argument disk) in
virtio) modprobe virtio_pci; modprobe virtio_blk; device=/dev/vda ;;
ahci) modprobe ahci; modprobe sd_mod; device=/dev/sda ;;
ide) modprobe ata_piix; modprobe sd_mod; device=/dev/sda ;;
esac
i=0
while [ ! -b $device ] && [ $i -lt 100 ]; do usleep 100000; i=$((i + 1)); done
sum() { sha256sum | cut -d' ' -f1; }

check read [ "$(dd if=$device bs=1M count=8 2>/dev/null | sum)" = "$(argument sha256)" ]
dd if=$device bs=1M skip=4 count=4 2>/dev/null >/tmp/second
dd if=$device bs=1M count=4 2>/dev/null >/tmp/first
cat /tmp/second /tmp/first | dd of=$device bs=1M seek=8 conv=notrunc,fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
blockdev --flushbufs $device
check written [ "$(dd if=$device bs=1M skip=8 count=8 2>/dev/null | sum)" = "$(cat /tmp/second /tmp/first | sum)" ]
grep -E 'virtio|ahci|ata|xen-pirq' /proc/interrupts
if [ "$(argument disk)" = virtio ]; then check msi grep -qE 'msi.*virtio0-req|virtio0-req' /proc/interrupts; fi
