# SPDX-License-Identifier: GPL-2.0-only
ok before-reboot
reboot -f
sleep 60
bad reboot
