#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: kcache is killed in the middle of attach, at four places (pause.c).
# Disks: kill1 kill2 kill3 kill4.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/guest.sh"
modprobe dm-kcache

# the key helper is started without an environment: one that has it again
cat >/usr/libexec/kcache/paused-helper <<'END2'
#!/bin/sh
LD_PRELOAD=/usr/lib/kcache-pause.so PAUSE_AT=unwrapped PAUSE_FILE=/tmp/paused.unwrapped \
	exec /usr/libexec/kcache/kcache-keyhelper
END2
chmod 755 /usr/libexec/kcache/paused-helper
echo "helper = /usr/libexec/kcache/paused-helper" >/tmp/paused.conf

KCACHE_CONFIG=/tmp/paused.conf kcache attach "${D[0]}" kill1 &
pids=($!)
n=1
for where in verified keyring loaded; do
	LD_PRELOAD=/usr/lib/kcache-pause.so PAUSE_AT=$where PAUSE_FILE=/tmp/paused.$where \
		kcache attach "${D[n]}" kill$((n + 1)) &
	pids+=($!)
	n=$((n + 1))
done
for where in unwrapped verified keyring loaded; do
	check "attach has come to: $where" wait_for 20 test -e /tmp/paused.$where
done
check "a keyring has a key" grep kcache: /proc/keys
check "the memory is searched: paused" /kcache/tests/qemu/dump paused
kill -9 "${pids[@]}"
wait
check "the key helpers ended with them" wait_for 10 not pgrep -f kcache-keyhelper
# made and never resumed: the last has a table, and the table a key
check "what it left is removed" dmsetup remove kill3
check "what it left with a table is removed" dmsetup remove kill4
dumped killed
