# SPDX-License-Identifier: GPL-2.0-only
# Guests of several kinds at once: a file from one to the other and to dom0 over the bridge, two that want both CPUs.
. toolstack
check daemons streak-up
kernel=/guest/vmlinux
definition server 1 "serve guest.ip=10.1.0.11" 96 1 "$(interface 11)"
definition client 2 "fetch guest.ip=10.1.0.12 guest.from=10.1.0.11" 96 1 "$(interface 12)"
check server streak create /tmp/server.xml
check client streak create /tmp/client.xml
check serves wait_for 60 said 1 "GUEST serves"
check fetched wait_for 60 said 2 "GUEST fetched"
sum=$(sed -n 's/.*GUEST serves \([0-9a-f]*\).*/\1/p' "$(log_of 1)")
check between-guests said 2 "GUEST fetched $sum"
check to-dom0 sh -c "wget -q -O /tmp/file http://10.1.0.11/file && sha256sum </tmp/file | grep -q ^$sum"
check end-network sh -c 'streak destroy server && streak destroy client'

definition first 3 load 96 2
definition second 4 load 96 2
check load sh -c 'streak create /tmp/first.xml && streak create /tmp/second.xml'
check first-lives wait_for 60 said 3 "GUEST alive 5"
check second-lives wait_for 60 said 4 "GUEST alive 5"
check dom0-answers timeout 20 streak list
streak top --once
check end-load sh -c 'streak destroy first && streak destroy second'

check no-leftovers sh -c 'streak list --leftovers --json | grep -qE "\"leftovers\": *\[ *\]"'
tail -n 5 /var/log/streak/*.log
