#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clone on block devices: a bit copy and its original, attached on one host at once, and what
# is refused while something is in use; --new-dek, also killed on its way. What plain files show
# is in tests/unit/test-clone.sh, a power cut at each write of --new-dek in life-clone.sh.
#
# vm: --add build/unit/record-writes.so:/usr/lib/record-writes.so
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

mkdir -p /mnt/original /mnt/clone
on_exit kcache detach original
on_exit kcache detach clone
on_exit umount /mnt/original
on_exit umount /mnt/clone
volume 30M
o=$LOOP uuid=$VOL
kcache attach -q "$o" original >/dev/null
mkfs.ext4 -q /dev/mapper/original
mount /dev/mapper/original /mnt/original
head -c 4M /dev/urandom >/mnt/original/data
sum=$(sha256sum </mnt/original/data)
umount /mnt/original
kcache detach original
loop_device 30M
c=$LOOP
dd if="$o" of="$c" bs=1M conv=fsync status=none

check "a bit copy and its original are one volume: attach does not choose" refused 5 "$uuid" "$c" kcache attach -q "$c" clone
check "nor of the original" refused 5 "$uuid" "$o" kcache attach -q "$o" original
check "clone makes a volume of its own of the copy, with the original beside it" kcache -q clone "$c" --force
check "it has another UUID" not same "$(blkid -p -o value -s UUID "$c")" "$uuid"
check "no keyring has a key of ours" no_keys
check "the original is as it was" same "$(blkid -p -o value -s UUID "$o")" "$uuid"
check "the original attaches" kcache attach -q "$o" original
check "and the clone beside it" kcache attach -q "$c" clone
lineages=$(for d in "$o" "$c"; do kcache dump "$d" --json | jq -r '.recipients[0].lineage'; done | sort -u | wc -l)
check "both have one lineage" same "$lineages" 1
check "and the same data" cmp /dev/mapper/original /dev/mapper/clone
check "in the same ciphertext" cmp -i 16777216 "$o" "$c"
mount /dev/mapper/original /mnt/original
mount /dev/mapper/clone /mnt/clone
check "the file is in the clone" same "$(sha256sum </mnt/clone/data)" "$sum"
echo other >/mnt/clone/data
sync
check "what is written to the clone is in the clone" same "$(</mnt/clone/data)" other
check "and not in the original" same "$(sha256sum </mnt/original/data)" "$sum"
check "status knows both by their UUIDs" same "$(kcache status --json | jq -r '.volumes[].uuid' | sort -u | wc -l)" 2

# --- in use ------------------------------------------------------------------------
umount /mnt/clone
umount /mnt/original
check "one that is attached is refused" refused 5 'in use: held by dm-[0-9]+ \(clone\)' "$c" kcache -q clone "$c" --force
check "in a dry run too" refused 5 'in use' "$c" kcache -q clone "$c" --dry-run
kcache detach clone
kcache detach original
blockdev --setro "$c"
check "a read-only one is refused" refused 4 'it is read-only' "$c" kcache -q clone "$c" --force
blockdev --setrw "$c"
check "stock cryptsetup opens the clone" cryptsetup open --token-only "$c" stock
check "and reads its filesystem" same "$(blkid -p -o value -s TYPE /dev/mapper/stock)" ext4
check "meanwhile it is refused" refused 5 'in use: held by' "$c" kcache -q clone "$c" --force
cryptsetup close stock

# --- under another key ---------------------------------------------------------------
k2=$(kcache key create --alias two)
check "a clone under another key" kcache -q clone "$c" --force --key alias/two
kcache key disable "$(kcache recipient list -n "$o" | awk '{ print $5 }')" -q
check "attaches without the original's" kcache attach -q "$c" clone
check "its only key is that one" same "$(kcache recipient list -n "$c" | awk '{ print $5 }')" "$k2"
check "and its data are still the first clone's" same "$(blkid -p -o value -s TYPE /dev/mapper/clone)" ext4
kcache detach clone
kcache key enable "$(kcache recipient list -n "$o" | awk '{ print $5 }')" -q

# --- with a DEK of its own ---------------------------------------------------------------
# copied: $c, a bit copy of the original that nothing has cached
copied() { dd if="$o" of="$c" bs=1M oflag=direct status=none; }
mapped() { echo /dev/mapper/kcache-clone-*; }
anew() { kcache -q clone "$c" --force --new-dek "$@"; }
# alike: how many sectors of 4096 of the data have the ciphertext of the original
alike() {
	blockdev --flushbufs "$c"
	python3 -c 'import sys
a, b = (open(f, "rb").read()[16 << 20:] for f in sys.argv[1:])
print(sum(a[i:i + 4096] == b[i:i + 4096] for i in range(0, len(a), 4096)))' "$o" "$c"
}
lineage() { kcache dump "$1" --json | jq -r '.recipients[0].lineage'; }
# same_data: the clone has what the original has
same_data() {
	local code=0

	kcache attach -q "$o" original >/dev/null && kcache attach -q "$c" clone >/dev/null && cmp /dev/mapper/original /dev/mapper/clone || code=$?
	kcache detach clone
	kcache detach original
	return $code
}
copied
old=$(lineage "$o")
check "--new-dek encrypts the data anew" expect_exit 0 anew --json
check "as the JSON says" same "$(jq -c '[.new_dek, .resumed, .generation]' <"$_said")" '[true,false,"2"]'
check "nothing is left mapped" same "$(mapped)" '/dev/mapper/kcache-clone-*'
check "no keyring has a key of ours" no_keys
check "it has a lineage of its own" not same "$(lineage "$c")" "$old"
check "no sector has the original's ciphertext" same "$(alike)" 0
check "and the plaintext is the original's" same_data
check "stock cryptsetup opens it by its new keyslot" cryptsetup open --token-only "$c" stock
cryptsetup close stock
check "dump says that it is complete" same "$(kcache dump "$c" --json | jq -c '[.operation, .damaged_copy]')" '[null,0]'

# killed N: --new-dek was killed -9 after write N to the device, which left it mapped
killed() {
	local pid said=$STATE/paused

	RECORD_FILE=$c RECORD_PAUSE=$1 LD_PRELOAD=/usr/lib/record-writes.so kcache -q clone "$c" --force --new-dek >/dev/null 2>"$said" &
	pid=$!
	wait_for 20 grep 'paused after' "$said" || return
	kill -9 $pid
	wait $pid
	[ "$(kcache dump "$c" --json | jq -r .operation)" = clone ]
}
# two writes are the header's, then each chunk's record is one
for n in 3 6; do
	copied
	check "it is killed after write $n" killed $n || continue
	if [ $n = 3 ]; then
		check "what it has left is in the way of attach" refused 5 'in use: held by .*kcache-clone-' "$c" kcache attach -q "$c" clone
	else
		# as after a reboot
		dmsetup ls | awk '/^kcache-clone-/ { print $1 }' | xargs -n 1 dmsetup remove --retry
		check "attach says so, and what to do" refused 5 'being cloned with a new data key.*kcache clone --new-dek' "$c" kcache attach -q "$c" clone
	fi
	check "stock cryptsetup has nothing to open" not cryptsetup open --token-only "$c" stock
	check "the same command goes on with it" expect_exit 0 anew --json
	check "and says so" same "$(jq -c '.resumed' <"$_said")" true
	check "nothing is left mapped" same "$(mapped)" '/dev/mapper/kcache-clone-*'
	check "the data are the original's" same_data
	check "in other ciphertext, everywhere" same "$(alike)" 0
done
f=$STATE/file
cp --sparse=never "$(losetup -n -O BACK-FILE "$o")" "$f"
check "the same in a file" kcache -q clone "$f" --force --new-dek
check "whose loop device is gone" test -z "$(losetup -n -O NAME -j "$f")"
check "attaches" kcache attach -q "$f" clone
check "with the data" same "$(blkid -p -o value -s TYPE /dev/mapper/clone)" ext4
