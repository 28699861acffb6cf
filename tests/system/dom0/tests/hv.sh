# SPDX-License-Identifier: GPL-2.0-only
# The hypercall library against the hypervisor, with no daemon running.
check hv-probe hv-probe
# Without the module, the error tells what to load.
umount /proc/xen
rmmod xenfs xen-privcmd
hv-probe >/tmp/without
sed 's/^TEST/expected:/' /tmp/without
check module-named grep -q "Load its module: modprobe xen-privcmd" /tmp/without
