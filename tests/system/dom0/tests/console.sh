# SPDX-License-Identifier: GPL-2.0-only
# Every line typed at the serial console arrives whole and in order.
echo "READY console"
i=0
lost=0
while [ $i -lt 20 ]; do
    read -r -t 30 line || break
    [ "$line" = "line $i abcdefghijklmnopqrstuvwxyz0123456789" ] || { lost=$((lost + 1)); echo "got: $line"; }
    i=$((i + 1))
done
check lines [ $i = 20 -a $lost = 0 ]
