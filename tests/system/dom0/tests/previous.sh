# SPDX-License-Identifier: GPL-2.0-only
# Boots twice: the first time run.py ends the machine by an NMI that nobody takes, the second time the log up to then is there.
modprobe -a xen-privcmd
if streak dmesg --previous >/tmp/before 2>/tmp/error; then
    check log [ "$(wc -l </tmp/before)" -gt 20 ]
    check begins grep -q "Streak 4.17.0-streak" /tmp/before
    check build-id sh -c 'grep -qE "build id [0-9a-f]{40}" /tmp/before'
    check reason grep -q "unexpected NMI" /tmp/before
    check named grep -qE '  [0-9a-f]{16}  [a-z_:]+.*\+0x' /tmp/before
    check dom0-too grep -q "Linux version" /tmp/before
    check json sh -c 'streak dmesg --previous --json | grep -q "\"boots\":1"'
    check build-id-now sh -c 'streak-up && streak dmesg | grep -qE "build id [0-9a-f]{40}"'
    check build-id-of-streakd sh -c 'grep -qE "build id [0-9a-f]{40}" /var/log/streak/streakd.log'
    check told-at-boot sh -c 'streak dmesg | grep -q "dmesg --previous"'
else
    grep -q "no log of an earlier boot" /tmp/error || bad none "$(cat /tmp/error)"
    echo "READY for the end"
    sleep 60
fi
