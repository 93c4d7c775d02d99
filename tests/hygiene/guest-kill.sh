#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: kcache is killed in the middle of attach, at three places (pause.c).
# Disks: kill1 kill2 kill3.
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
LD_PRELOAD=/usr/lib/kcache-pause.so PAUSE_AT=verified PAUSE_FILE=/tmp/paused.verified kcache attach "${D[1]}" kill2 &
pids+=($!)
LD_PRELOAD=/usr/lib/kcache-pause.so PAUSE_AT=keyring PAUSE_FILE=/tmp/paused.keyring kcache attach "${D[2]}" kill3 &
pids+=($!)
for where in unwrapped verified keyring; do
	check "attach has come to: $where" wait_for 20 test -e /tmp/paused.$where
done
check "a keyring has a key" grep kcache: /proc/keys
check "the memory is searched: paused" /kcache/tests/qemu/dump paused
kill -9 "${pids[@]}"
wait
check "the key helpers ended with them" wait_for 10 not pgrep -f kcache-keyhelper
dmsetup remove kill3
dumped killed
