#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keys that are missing, revoked, expired, of the wrong size or type; the key
# cache: reloads with the keyring emptied, another key under the same name; what
# a table shows of a key.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
d=$(disk 1)

# refused ERRNO-TEXT SENTENCE LINE: dmsetup says the first, the kernel's log the second
refused() {
	dmesg_mark
	dmsetup create bad --table "$3" >"$_said" 2>&1 && { dmsetup remove bad; return 1; }
	cat "$_said"
	grep -q "$1" "$_said" && dmesg_has "kcache:.*$2"
}
key_line() { line kcache "$1" 0 "$d" 0 2048 | sed "s/:64:logon:/:64:${2:-logon}:/"; }

check "a key that is nowhere is ENOKEY" \
	refused 'Required key not available' 'key logon:kcache:none: Key is not in a keyring' "$(key_line none)"
add_key revoked
keyctl revoke "$(keyctl search @s logon kcache:revoked)"
check "a revoked key is EKEYREVOKED" \
	refused 'Key has been revoked' 'key logon:kcache:revoked: Key has been revoked' "$(key_line revoked)"
add_key expired
keyctl timeout "$(keyctl search @s logon kcache:expired)" 1
sleep 1.2
check "an expired key is EKEYEXPIRED" \
	refused 'Key has expired' 'key logon:kcache:expired: Key has expired' "$(key_line expired)"
for size in 1 32 63 65 128; do
	head -c $size /dev/urandom >"$KEYS/size"
	add_key size$size "$KEYS/size"
	check "a key of $size bytes is EINVAL" \
		refused 'Invalid argument' "key logon:kcache:size$size: Key in the keyring is not of 64 bytes" \
		"$(key_line size$size)"
done
add_key type
check "a key of another type is not found" \
	refused 'Required key not available' 'key user:kcache:type: Key is not in' "$(key_line type user)"
check "a key type that this kernel has not is named" \
	refused 'Invalid argument' 'Key type is not supported by this kernel' "$(key_line x trusted)"

# the other types that are keys of 64 bytes
head -c 64 /dev/urandom | keyctl padd user kcache:user @s >/dev/null
check "a user key will do" dmsetup create u --table "$(key_line user user)"
on_exit dmsetup remove u
check "its table names it" same "$(dmsetup table u)" \
	"$(key_line user user | sed "s,$d,$(lsblk -dno MAJ:MIN "$d" | tr -d ' '),")"
dmsetup remove u
if keyctl add user kcache:master 0123456789abcdef @s >/dev/null &&
	keyctl add encrypted kcache:enc "new default user:kcache:master 64" @s >/dev/null; then
	check "an encrypted key will do" dmsetup create u --table "$(key_line enc encrypted)"
	dmsetup remove u
	check "and is the same key to dm-crypt" dmsetup create u \
		--table "$(key_line enc encrypted | sed 's/ kcache / crypt /')"
	dmsetup remove u
fi

# --- the cache --------------------------------------------------------------
data=$(mktemp)
on_exit rm -f "$data"
head -c 1048576 /dev/urandom >"$data"
reads() { get /dev/mapper/c | head -c 1048576 | cmp - "$data"; }
reload() { dmsetup reload c --table "$1" && dmsetup suspend c && dmsetup resume c; }

add_key c
map c kcache c 0 "$d" 0 2048
put "$data" /dev/mapper/c
forget_key c
check "the keyring has forgotten the key" not keyctl search @s logon kcache:c
check "the device reads on" reads
check "a reload that grows it takes the key from the cache" reload "$(line kcache c 0 "$d" 0 4096)"
check "the device has grown" same "$(blockdev --getsz /dev/mapper/c)" 4096
check "and reads the same" reads
check "a reload that changes an option works too" reload "$(line kcache c 0 "$d" 0 2048 allow_discards)"
check "and reads the same still" reads
check "another device of the same description has no part in it" \
	refused 'Required key not available' 'Key is not in a keyring' "$(key_line c)"
check "nor has another description in the same device" not dmsetup reload c --table "$(key_line c2)"

head -c 64 /dev/urandom >"$KEYS/another"
add_key c "$KEYS/another"
dmesg_mark
check "a different key under the description is refused" not dmsetup reload c --table "$(key_line c)"
check "as EKEYREJECTED" said 'Key was rejected by service'
check "with its sentence" dmesg_has 'Key is another than the volume is attached with'
check "the live table reads on" reads
keyctl revoke "$(keyctl search @s logon kcache:c)"
check "a revoked key is an error even though the cache has it" not dmsetup reload c --table "$(key_line c)"
forget_key c
keyctl unlink "$(keyctl search @s logon kcache:c 2>/dev/null || echo 0)" @s 2>/dev/null
add_key c "$KEYS/c"
check "the right key in the keyring again is fine" reload "$(key_line c)"
check "and reads" reads
forget_key c

# two segments, one description: one key object
check "two segments share the cached key" reload "$(line kcache c 0 "$d" 0 1024)
1024 1024 ${_l:=$(line kcache c 1024 "$d" 1024 1024 | cut -d' ' -f3-)}"
check "and read the same" reads

# --- what is shown ----------------------------------------------------------
raw=$(xxd -p -c 64 "$KEYS/c")
check "dmsetup table --showkeys has no key byte" not grep -qi "$raw" <(dmsetup table --showkeys c)
check "it shows the reference" grep -q ':64:logon:kcache:c' <(dmsetup table --showkeys c)
check "status has no key byte" not grep -qi "$raw" <(dmsetup status c)
unmap c
check "after the removal the key is gone: the line fails" \
	refused 'Required key not available' 'Key is not in a keyring' "$(key_line c)"
