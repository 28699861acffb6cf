# SPDX-License-Identifier: GPL-2.0-only
# Fetches a file from the host through the emulator's user network, and sends one back; the host answers
# with the checksum of what arrived.
modprobe virtio_pci; modprobe "$(argument nic)"
i=0
while [ ! -e /sys/class/net/eth0 ] && [ $i -lt 100 ]; do usleep 100000; i=$((i + 1)); done
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
i=0
while [ "$(cat /sys/class/net/eth0/carrier 2>/dev/null)" != 1 ] && [ $i -lt 100 ]; do usleep 100000; i=$((i + 1)); done
ping -c 3 -W 2 10.0.2.2
check download wget -q -O /tmp/file "$(argument url)"
sum=$(sha256sum /tmp/file | cut -d' ' -f1)
check received [ "$sum" = "$(argument sha256)" ]
# Text survives busybox' form upload unchanged.
od -An -v -tx1 /tmp/file | head -c 2000000 >/tmp/text
answer=$(wget -q -O - --post-file /tmp/text "$(argument url)")
check sent [ "$answer" = "$(sha256sum /tmp/text | cut -d' ' -f1)" ]
grep -E 'eth0|virtio' /proc/interrupts
cat /proc/net/dev
