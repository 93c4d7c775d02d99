#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A power cut at any write of clone --new-dek. It is killed after write N to the device, for
# each N; what it was writing is torn: the newest record of the journal, or the chunk that
# follows it. The same command then goes on, and the data are those of the original.
#
# vm: --add build/unit/record-writes.so:/usr/lib/record-writes.so
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

# three chunks, the last one shorter: with the header before and after, and the keyslot
SIZE=$(((16 << 20) + (5 << 20) + 4096)) CHUNKS=3 WRITES=8
START=$((16 << 20)) CHUNK=$((2 << 20)) JOURNAL=$((1 << 20)) SLOT=$((4 << 20))
volume $SIZE
o=$LOOP
kcache attach -q "$o" vol >/dev/null
head -c $((SIZE - START)) /dev/urandom | dd of=/dev/mapper/vol bs=1M oflag=direct iflag=fullblock conv=fsync status=none
sum=$(dd if=/dev/mapper/vol bs=1M iflag=direct status=none | sha256sum)
kcache detach vol
loop_device $SIZE
c=$LOOP
known=$(cat "$STATE/state/volumes/$VOL.json")

# cut N: the power goes after write N to the device; fails where there is no write N
cut() {
	local said=$STATE/said pid

	dd if="$o" of="$c" bs=1M oflag=direct status=none
	RECORD_FILE=$c RECORD_PAUSE=$1 LD_PRELOAD=/usr/lib/record-writes.so kcache -q clone "$c" --force --new-dek >"$said" 2>&1 &
	pid=$!
	wait_for 60 eval "grep -q 'paused after' $said || ! kill -0 $pid"
	if kill -9 $pid 2>/dev/null; then
		wait $pid 2>/dev/null
		dmsetup ls | awk '/^kcache-clone-/ { print $1 }' | xargs -r -n 1 dmsetup remove --retry
		blockdev --flushbufs "$c"
		return 0
	fi
	wait $pid
	return 1
}
# noise OFFSET LENGTH: there on the device, as a torn write may leave it
noise() { head -c "$2" /dev/urandom | dd of="$c" bs=512 seek=$(($1 / 512)) oflag=direct conv=notrunc status=none; }
# record SLOT: number and place of the record there, or nothing
record() {
	python3 - "$c" $((JOURNAL + $1 * SLOT)) <<'END2'
import hashlib, struct, sys
with open(sys.argv[1], "rb") as f:
    f.seek(int(sys.argv[2]))
    head = f.read(4096)
    magic, uuid, seq, at, length, digest = struct.unpack("<16s40sQQQ32s", head[:112])
    data = f.read(min(length, 1 << 21))
    if magic == b"kcache journal 1" and hashlib.sha256(head[:80] + data).digest() == digest:
        print(seq, at)
END2
}
# newest: number and place of the newest record
newest() { { record 0; record 1; } | sort -n | tail -n 1; }
# whole: the same command goes on, or begins, and the data are the original's
whole() {
	kcache -q clone "$c" --force --new-dek >/dev/null || return
	kcache attach -q "$c" vol >/dev/null || return
	same "$(dd if=/dev/mapper/vol bs=1M iflag=direct status=none | sha256sum)" "$sum" || { kcache detach vol; return 1; }
	kcache detach vol
	blockdev --flushbufs "$c"
	same "$(kcache dump "$c" --json | jq -c '[.operation, .damaged_copy]')" '[null,0]' &&
		! ls /dev/mapper/kcache-clone-* 2>/dev/null
}
# answers: attach finds a volume, or says that a clone did not finish
answers() {
	local code=0

	kcache attach -q "$c" vol >/dev/null 2>"$STATE/said" || code=$?
	cat "$STATE/said"
	kcache detach vol
	# of a bit copy: the original is here too
	[ $code -eq 0 ] || grep -qE 'did not finish|carries the same UUID' "$STATE/said"
}

records=0
# one more than it has until it is a clone: what follows empties the journal
for n in $(seq 1 $((WRITES + 1))); do
	check "the power goes after write $n" cut "$n" || continue
	check "attach has an answer then" answers
	operation=$(kcache dump "$c" --json | jq -r .operation)
	read -r seq at <<<"$(newest)"
	if [ "$operation" = null ] || [ "${seq:-0}" -le "$records" ]; then
		check "and the same command makes a clone of it, with the data" whole
		continue
	fi
	records=$seq
	noise $((START + at)) $((CHUNK / 4))
	check "the chunk at $at is half written then: it comes back from the journal" whole
	cut "$n"
	noise $((JOURNAL + seq % 2 * SLOT + 8192)) 4096
	check "or its record is: the one before it counts" whole
done
check "all chunks had their record" same "$records" "$CHUNKS"
check "after the last of these writes it is a clone already" same "$operation" null
check "this host still knows the original" same "$(cat "$STATE/state/volumes/$VOL.json")" "$known"
check "no keyring has a key of ours" no_keys
