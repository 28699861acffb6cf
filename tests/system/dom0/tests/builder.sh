# SPDX-License-Identifier: GPL-2.0-only
# A guest of Debian's kernel, as it is, from what the builder makes; no daemon runs.
check builder builder-probe /guest/vmlinuz /guest/initramfs 128 "GUEST up" 300 \
    "console=hvc0 earlyprintk=xen loglevel=6 guest.do=echo"
