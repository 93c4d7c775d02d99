#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: what a volume's life can be, with a dump of the memory after each part.
# Disks: life wiped leased edited digest nomodule stock used suspended.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/guest.sh"
read -r life wiped leased edited digest nomodule stock used suspended <<<"${D[*]}"
new_session

# --- the search finds what is there -------------------------------------------
"$(dirname "$0")/plant.py" /kcache/planted.key all >/dev/null 2>&1 &
plant=$!
check "a program holds a key in every form" wait_for 10 test -e /tmp/planted
keyctl padd logon control:dmcrypt @s </kcache/dmcrypt.key >/dev/null
check "dm-crypt is given another" dmsetup create control --table \
	"0 8192 crypt aes-xts-plain64 :64:logon:control:dmcrypt 0 $(disk 1) 0"
dumped control
kill $plant
dmsetup remove control
keyctl clear @s

# --- attaches that fail after the DEK was unwrapped ---------------------------
modprobe dm-mod
module=$(modinfo -n dm-kcache)
mv "$module" /tmp/dm-kcache.ko
check "no module: attach fails at the table" expect_exit 4 kcache attach "$nomodule" bad
check "and says so" said 'no device-mapper target'
mv /tmp/dm-kcache.ko "$module"
modprobe dm-kcache
cryptsetup token export --token-id 0 "$edited" | jq -c '.lease = 60' |
	cryptsetup token import --token-id 0 --token-replace "$edited"
check "an edited token: attach is refused" expect_exit 8 kcache attach "$edited" bad
check "for its mac" said 'mac does not hold'
check "a wrong digest: attach is refused" expect_exit 8 kcache attach "$digest" bad
check "for its digest" said 'digest does not know'
dumped failed

# --- attach and detach ----------------------------------------------------------
check "attach" kcache attach "$life" life --allow-discards
check "use it" in_use life
dumped attached
rm /mnt/data/lines
check "discard" fstrim /mnt/data
umount /mnt/data
check "detach" kcache detach life
dumped detached

# --- key wipe, suspend, the end of a lease, an ephemeral volume ------------------------
check "attach one to be wiped" kcache attach "$wiped" wiped
check "attach one with a lease" kcache attach "$leased" leased
check "use it" dd if=/dev/mapper/wiped of=/dev/null bs=64k iflag=direct status=none
check "use the other" dd if=/dev/mapper/leased of=/dev/null bs=64k iflag=direct status=none
# the keyring has forgotten the key by now: the reload takes it from the key cache
table=$(dmsetup table leased)
[[ $table =~ ^(.*)\ ([0-9]+)\ (sector_size:.*)$ ]]
dmsetup reload leased --table "${BASH_REMATCH[1]} $((BASH_REMATCH[2] + 2)) ${BASH_REMATCH[3]} lease:3600 on_expiry:fail"
check "the lease is in the table" dmsetup resume leased
check "attach one to be suspended" kcache attach "$suspended" suspended
check "use it" dd if=/dev/mapper/suspended of=/dev/null bs=64k iflag=direct status=none
check "make an ephemeral one" env LD_PRELOAD=/usr/lib/kcache-pause.so KNOWN_KEY=1 \
	kcache create -q "$(disk 1)" --ephemeral scratch --force
check "use it" dd if=/dev/zero of=/dev/mapper/scratch bs=64k count=16 oflag=direct status=none
dumped live
check "suspend" kcache suspend suspended
check "detach the ephemeral one" kcache detach scratch
check "wipe" dmsetup message wiped 0 key wipe
check "the lease is cut short" dmsetup message leased 0 lease 1
check "it runs out" wait_for 10 bash -c 'dmsetup status leased | grep -q key:expired'
check "the wiped one reads no more" not dd if=/dev/mapper/wiped of=/dev/null bs=4k count=1 iflag=direct
check "the expired one neither" not dd if=/dev/mapper/leased of=/dev/null bs=4k count=1 iflag=direct
dumped gone
check "detach the wiped one" kcache detach wiped
check "detach the expired one" kcache detach leased
check "resume" kcache resume suspended
check "it reads" dd if=/dev/mapper/suspended of=/dev/null bs=64k iflag=direct status=none

# --- the way out ---------------------------------------------------------------
check "stock cryptsetup opens one" cryptsetup open --token-only "$stock" stock
check "use it" dd if=/dev/mapper/stock of=/dev/null bs=64k iflag=direct status=none
dumped stock
check "detach the resumed one" kcache detach suspended
check "stock cryptsetup closes it" cryptsetup close stock
dumped closed

# --- power-off with a volume in use ----------------------------------------------
"$(dirname "$0")/plant.py" /kcache/canary.key raw >/dev/null 2>&1 &
check "a program holds a key" wait_for 10 test -e /tmp/planted.raw
check "attach" kcache attach "$used" used
setsid dd if=/dev/zero of=/dev/mapper/used bs=64k oflag=direct seek=1 count=1 status=none
setsid bash -c 'while :; do dd if=/dev/mapper/used of=/dev/null bs=64k iflag=direct status=none; done' >/dev/null 2>&1 &
sleep 0.5
# the device is left on purpose
unset KERNEL
