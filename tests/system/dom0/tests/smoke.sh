# SPDX-License-Identifier: GPL-2.0-only
# The smoke subset in one boot, for slow emulators.
. /tests/boot.sh
. /tests/hypervisor.sh
