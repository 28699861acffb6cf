# SPDX-License-Identifier: GPL-2.0-only
# The hypercall library against the hypervisor, with no daemon running.
check hv-probe hv-probe
rmmod xen-privcmd
hv-probe >/tmp/without 2>&1
check module-named grep -q "Load its module: modprobe xen-privcmd" /tmp/without
cat /tmp/without | sed 's/^TEST/expected to fail:/'
modprobe xen-privcmd
