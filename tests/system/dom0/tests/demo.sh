# SPDX-License-Identifier: GPL-2.0-only
# The demonstration of `make run` without a terminal.
show() { echo; echo "dom0# $*"; "$@"; }
show uname -a
show cat /proc/cmdline
for file in type version/major version/minor version/extra properties/capabilities properties/buildid; do
    echo "/sys/hypervisor/$file: $(cat /sys/hypervisor/$file)"
done
show cat /proc/xen/capabilities
show sh -c "dmesg | grep -iE 'xen|hypervisor' | head -25"
show free -m
show cat /proc/interrupts
show uptime
echo
ok demo
