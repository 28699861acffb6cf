# SPDX-License-Identifier: GPL-2.0-only
# The stressors one after the other in one boot.
for stressor in vm fork mmap switch timer; do
    case $stressor in
    vm) options="--vm 2 --vm-bytes 64M --verify" ;;
    mmap) options="--mmap 2 --mmap-bytes 16M" ;;
    *) options="--$stressor 2" ;;
    esac
    check "stress-$stressor" stress-ng $options --timeout "$(argument seconds)s" --metrics-brief --temp-path /tmp
done
