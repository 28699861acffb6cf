# SPDX-License-Identifier: GPL-2.0-only
# Debian's GRUB as a guest: it starts Debian's kernel out of its own image.
. toolstack
check daemons streak-up
kernel=/guest/grub
definition grub 5 nothing 300
sed -i '/<initrd>/d' /tmp/grub.xml
check grub streak create /tmp/grub.xml
check grub-up wait_for 30 said 5 "GRUB up"
check grub-starts-linux wait_for 90 said 5 "GUEST up"
check end-grub streak destroy grub
tail -n 5 /var/log/streak/*.log
