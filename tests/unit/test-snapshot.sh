#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Snapshots of volumes that are not attached, on plain files: what lies in the files, what
# is refused of them, chains, and what an interrupted restore leaves. While a volume is in
# use: tests/integration/kcache-snapshot.sh.
#
# shellcheck disable=SC2154 # _said is lib.sh's
. "$(dirname "$0")/lib-cli.sh"

# refused CODE REGEX COMMAND...: exits with CODE, says REGEX in one line
refused() {
	expect_exit "$1" "${@:3}" || return 1
	[ "$(grep -vc 'warning: ' "$_said")" -eq 1 ] || { echo "not one line"; return 1; }
	grep -qE -- "$2" "$_said" || { echo "does not say: $2"; return 1; }
}
# no_file PATH...: neither it nor its map nor parts of them
no_file() {
	local f

	for f; do
		[ -z "$(find "$f" "$f".* 2>/dev/null)" ] || { ls -la "$f"*; return 1; }
	done
}
# head_of MAP PYTHON: an expression over j, the map's JSON
head_of() { head -c 4096 "$1" >"$work/head" && json "$work/head" "$2"; }
# random FILE OFFSET LENGTH, zeros FILE OFFSET LENGTH: in units of KiB
random() { dd if=/dev/urandom of="$1" bs=1K seek="$2" count="$3" conv=notrunc status=none; }
zeros() { dd if=/dev/zero of="$1" bs=1K seek="$2" count="$3" conv=notrunc status=none; }
# flipped FILE OFFSET: a copy of it in which one byte is another
flipped() {
	cp --sparse=always "$1" "$work/flipped"
	/usr/bin/python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 64]))' "$work/flipped" "$2"
	echo "$work/flipped"
}
# resealed MAP EXPRESSION: a copy of the map with its JSON j edited, and a checksum that holds
resealed() {
	/usr/bin/python3 -c 'import hashlib,json,sys
b = open(sys.argv[1], "rb").read(); j = json.loads(b[:4096]); exec(sys.argv[3])
b = json.dumps(j).encode().ljust(4095) + b"\n" + b[4096:-32]
open(sys.argv[2], "wb").write(b + hashlib.sha256(b).digest())' "$1" "$work/resealed" "$2"
	echo "$work/resealed"
}

# its last block is shorter than the others, and its sectors have 512 bytes
d=$(file vol $(((25 << 20) + 4608)))
uuid=$(kcache -q create "$d" --sector-size 512) || fail "create makes a volume"
random "$d" 17000 2000
random "$d" 25600 4

# --- a full one ---------------------------------------------------------------------
id=$(kcache -q snapshot "$d" "$work/full") || fail "a full snapshot is made"
check "a full snapshot is the image of the device" cmp "$d" "$work/full"
check "and prints its id" matches "$id" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
check "what is zero takes no room in it" test "$(du -k "$work/full" | cut -f1)" -le 19000
check "nobody else may read it" same "$(stat -c %a "$work/full" "$work/full.map" | paste -sd' ')" "600 600"
check "nothing else is left" same "$(cd "$work" && echo full*)" "full full.map"
check "its map says what it is" head_of "$work/full.map" "j['type'] == 'kcache-snapshot' and j['id'] == '$id' and j['volume'] == '$uuid' and j['parent'] is None and j['size'] == '26219008' and j['done'] == '51'"
check "and has a sum for each block, and one of itself" same "$(stat -c %s "$work/full.map")" $((4096 + 51 * 32 + 32))
check "which are the blocks' SHA-256" /usr/bin/python3 -c 'import hashlib,sys
m = open(sys.argv[1], "rb").read(); d = open(sys.argv[2], "rb").read(); n = 1 << 19
for i in range(0, len(d), n):
    b = d[i:i + n]; s = m[4096 + i // n * 32:][:32]
    assert s == (hashlib.sha256(b).digest() if any(b) else bytes(32)), i
assert m[-32:] == hashlib.sha256(m[:-32]).digest()' "$work/full.map" "$d"
check "an audit event tells of it" grep -q "\"event\":\"createSnapshot\",\"result\":\"succeeded\",\"volume\":\"$uuid\".*\"snapshot\":\"$id\",\"file\":\"$work/full\"" "$work/audit.jsonl"

# --- incrementals ---------------------------------------------------------------------
cp --sparse=always "$d" "$work/at0"
random "$d" 17500 1
zeros "$d" 18432 512
random "$d" 25603 1
kcache snapshot "$d" "$work/inc1" --parent "$work/full" --json >"$work/json" 2>/dev/null
cp --sparse=always "$d" "$work/at1"
check "an incremental has what changed: three blocks, one of them to zeros" json "$work/json" "j['changed_blocks'] == '3' and j['stored_bytes'] == '528896' and j['parent'] == '$id'"
check "and no more than that is in its file" same "$(stat -c %s "$work/inc1")" 528896
check "a bit for each block is in its map" same "$(stat -c %s "$work/inc1.map")" $((4096 + 51 * 32 + 7 + 32))
check "one of nothing at all" kcache -q snapshot "$d" "$work/inc2" --parent "$work/inc1"
check "is empty" same "$(stat -c %s "$work/inc2")" 0
random "$d" 18432 512
kcache recipient add -q "$d" --key "$(kcache key create)"
cp --sparse=always "$d" "$work/at3"
mv "$work/inc2" "$work/inc2.away"
check "one whose parent's file is away, but not its map" kcache -q snapshot "$d" "$work/inc3" --parent "$work/inc2"
mv "$work/inc2.away" "$work/inc2"
check "has the block of the header that has changed, too" same "$(stat -c %s "$work/inc3")" $((2 << 19))

chain=("$work/full" "$work/inc1" "$work/inc2" "$work/inc3")
for n in 0 1 3; do
	t=$(file target 26M)
	check "a chain of $((n + 1)) is restored" kcache -q restore "${chain[@]:0:n+1}" "$t"
	check "to its instant" cmp -n 26219008 "$work/at$n" "$t"
	check "and what is behind it is as it was" cmp -n 1043968 -i 26219008:0 "$t" /dev/zero
done
check "the volume on it is the one it was" same "$(kcache dump "$t" --json | jq -r .uuid)" "$uuid"
check "restore prints that" same "$(kcache -q restore "${chain[@]}" "$t" --force)" "$uuid"
check "a target full of something else becomes the same" bash -c "head -c 26M /dev/urandom >'$t' && '$tools/kcache' -q restore '${chain[0]}' '${chain[1]}' '$t' --force"
check "to the byte" cmp -n 26219008 "$work/at1" "$t"
check "an audit event tells of it" grep -q "\"event\":\"restoreSnapshot\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$work/audit.jsonl"
check "a dry run reads all and writes nothing" bash -c "h=\$(sha256sum <'$t'); '$tools/kcache' -q restore '${chain[0]}' '$t' --force --dry-run && [ \"\$h\" = \"\$(sha256sum <'$t')\" ]"
check "a map elsewhere" kcache -q snapshot "$d" "$work/else" --map "$work/else-map"
check "is where it was said to be" test -e "$work/else-map" -a ! -e "$work/else.map"
check "and restores" kcache -q restore "$work/else" "$t" --map "$work/else-map" --force
kcache restore "$work/else" "$t" --map "$work/else-map" --force --json >"$work/json" 2>/dev/null
check "restore has JSON" json "$work/json" "j['uuid'] == '$uuid' and j['dry_run'] is False and int(j['written_bytes']) > 17000000"

# --- what snapshot refuses -------------------------------------------------------------
before=$(sha256sum <"$work/full")
check "a file that is there" refused 5 "full exists; name another file, or use --force" kcache snapshot "$d" "$work/full"
check "is as it was" unchanged "$work/full" "$before"
check "a map that is there" refused 5 "full.map exists" kcache snapshot "$d" "$work/new" --map "$work/full.map"
check "a device that is none" refused 4 "No such file" kcache snapshot "$work/none" "$work/new"
check "one that is no volume" refused 4 "there is no LUKS2 header" kcache snapshot "$(file blank 17M)" "$work/new"
check "a name that is not attached, or no device-mapper" expect_exit 4 kcache snapshot nobody "$work/new"
check "a folder that is not there" refused 4 "cannot make" kcache snapshot "$d" "$work/none/new"
check "something that is no file" refused 4 "neither a block device nor a file" kcache snapshot "$d" /dev/null
check "a parent without a map" refused 4 "cannot open the map" kcache snapshot "$d" "$work/new" --parent "$work/none"
o=$(file other $(((25 << 20) + 4608)))
kcache -q create "$o" --sector-size 512 >/dev/null
kcache -q snapshot "$o" "$work/other-full" >/dev/null
check "a parent of another volume" refused 8 "is a snapshot of volume .*, not of $uuid" kcache snapshot "$d" "$work/new" --parent "$work/other-full"
cp --sparse=always "$d" "$work/grown"
truncate -s 27M "$work/grown"
check "a parent of before a resize" refused 8 "has 28311552 bytes, but had 26219008.*; take a full snapshot" kcache snapshot "$work/grown" "$work/new" --parent "$work/full"
check "a damaged parent" refused 8 "checksum does not hold" kcache snapshot "$d" "$work/new" --parent "$(cp "$work/full" "$work/bad"; cp "$(flipped "$work/full.map" 5000)" "$work/bad.map"; echo "$work/bad")"
check "the place of its own parent" refused 1 "would take the place of its own parent" kcache snapshot "$d" "$work/inc1" --parent "$work/inc1" --force
check "--cancel with something to copy" refused 1 "copies nothing: --parent does not go with it" kcache snapshot vol --cancel --parent "$work/full"
check "--cancel with a file" refused 1 "takes the name of a volume and nothing else" kcache snapshot vol "$work/new" --cancel
check "no file at all" refused 1 "where to is missing" kcache snapshot vol
check "after all that there is nothing" no_file "$work/new"
check "with --force the file is replaced" kcache -q snapshot "$d" "$work/other-full" --force
check "by what is asked for" cmp "$d" "$work/other-full"

# --- what restore refuses -----------------------------------------------------------------
t=$(file target 26M)
# bad CODE REGEX FILE...: restoring is refused, and what is there then is no volume
bad() {
	refused "$1" "$2" kcache restore "${@:3}" "$t" --force || return 1
	expect_exit 4 kcache dump "$t"
}
# untouched CODE REGEX FILE...: the same, and it is not written to
untouched() {
	local stamp

	stamp=$(stat -c %y "$t")
	bad "$@" && same "$(stat -c %y "$t")" "$stamp"
}
full=$work/full
check "a chain without its beginning" untouched 8 "inc1 is an incremental: snapshot $id, which it builds on, is missing before it" "$work/inc1"
check "a chain with a link missing" untouched 8 "inc3 builds on snapshot .*, but .*inc1 is snapshot" "$full" "$work/inc1" "$work/inc3"
check "a chain in another order" untouched 8 "builds on snapshot" "$full" "$work/inc2" "$work/inc1"
check "two full ones" untouched 8 "is a full snapshot: it builds on none" "$full" "$work/other-full"
kcache -q snapshot "$o" "$work/o1" >/dev/null
random "$o" 20000 1
kcache -q snapshot "$o" "$work/o2" --parent "$work/o1" >/dev/null
check "a link of another volume's chain" untouched 8 "o2 builds on snapshot" "$full" "$work/o2"
cp --sparse=always "$full" "$work/bad"
cp "$(resealed "$full.map" 'j["created"] = "2020-01-01T00:00:00Z"')" "$work/bad.map"
check "another map under the same id" untouched 8 "inc1 builds on another map of snapshot $id" "$work/bad" "$work/inc1"
rm "$work/bad.map"
check "a file without a map" untouched 4 "cannot open the map" "$work/bad"
check "a file that is not there" untouched 4 "cannot open the snapshot" "$work/none"

# map SENTENCE CODE REGEX: with what is in $work/bad.map now
map() { check "$1" untouched "$2" "$3" "$work/bad"; }
size=$(stat -c %s "$full.map")
for at in 4096 4127 5000 $((size - 33)) $((size - 32)) $((size - 1)); do
	cp "$(flipped "$full.map" "$at")" "$work/bad.map"
	map "a map with byte $at changed" 8 "checksum does not hold"
done
cp "$(flipped "$full.map" 3000)" "$work/bad.map"
map "a map with a byte of its page changed" 8 "is not JSON"
for n in 0 100 4096 4128 $((size - 32)) $((size - 1)); do
	head -c "$n" "$full.map" >"$work/bad.map"
	map "a map cut off after $n bytes" 8 "no map of a snapshot|cut off"
done
{ cat "$full.map"; echo; } >"$work/bad.map"
map "a map with a byte too many" 8 "or something was added"
while IFS='|' read -r edit regex; do
	cp "$(resealed "$full.map" "$edit")" "$work/bad.map"
	map "a map with $edit" 8 "$regex"
done <<'END'
j["done"] = "50"|not finished: 50 of 51 blocks
j["done"] = "52"|"done"
j["size"] = "0"|"size"
j["size"] = "26219009"|"size"
j["size"] = "99999999999999999"|"size"
j["size"] = 26219008|"size"
j["header"] = "26219008"|"header"
j["block_size"] = 4096|block size
j["version"] = 2|version
j["type"] = "other"|"type"
j["parent"] = "x"|"parent"
j["parent_sum"] = "0" * 64|"parent_sum"
j["parent"] = j["id"]|"parent_sum"
j["extra"] = 1|unexpected member
del j["volume"]|"volume" is missing
END
cp "$full.map" "$work/bad.map"
head -c 26219007 "$full" >"$work/bad"
check "a file that is cut off" untouched 8 "bad has 26219007 bytes, not 26219008: it is cut off" "$work/bad"
for at in 300 17500000 18000000 26219007; do
	cp --sparse=always "$(flipped "$full" $at)" "$work/bad"
	check "a file with byte $at changed" bad 8 "bad is damaged: block $((at >> 19)) .* is not what was copied" "$work/bad"
done
cp --sparse=always "$(flipped "$full" 22000000)" "$work/bad"
check "a hole with something in it is never looked at" kcache -q restore "$work/bad" "$t" --force
check "and is restored as a hole" cmp -n 26219008 "$work/at0" "$t"
cp "$work/inc1.map" "$work/bad.map"
cp "$(flipped "$work/inc1" 77777)" "$work/bad"
check "an incremental with a byte changed" bad 8 "bad is damaged: block 34 " "$full" "$work/bad"
head -c 528895 "$work/inc1" >"$work/bad"
rm "$t"
t=$(file target 26M)
check "one that is cut off" untouched 8 "cut off" "$full" "$work/bad"
cp "$(flipped "$work/inc1.map" 5731)" "$work/bad.map"
cp "$work/inc1" "$work/bad"
check "one whose bits are damaged" untouched 8 "checksum does not hold" "$full" "$work/bad"
rm "$t"
t=$(file target 26219007)
check "a target that is too small" untouched 4 "it has 26219007 bytes, 26219008 are needed" "$full"
check "one that is not there" refused 4 "No such file" kcache restore "$full" "$work/none"
check "is not made" no_file "$work/none"
t=$(file target 26M)
random "$t" 0 1
check "one that is not blank" refused 5 "it is not blank: data in the first MiB; check .* --force" kcache restore "$full" "$t"
check "--map with several files" refused 1 "for a single file" kcache restore "$full" "$work/inc1" "$t" --map "$full.map"
check "a file alone" expect_exit 1 kcache restore "$full"

# paused N FILE SIGNAL CODE VERB...: the verb is sent SIGNAL after its Nth write to FILE, and ends with CODE
paused() {
	local n=$1 f=$2 signal=$3 want=$4 p code=0
	shift 4

	RECORD_FILE=$f RECORD_PAUSE=$n LD_PRELOAD=$tools/../unit/record-writes.so ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
		"$tools/kcache" -q "$@" 2>"$work/paused" &
	p=$!
	wait_for 30 grep -q "paused after write $n" "$work/paused" || signal=KILL
	kill "-$signal" $p
	wait $p || code=$?
	cat "$work/paused"
	[ $code -eq "$want" ]
}

# --- an interrupted restore -----------------------------------------------------------------
t=$(file target 26M)
check "the writes of a restore are recorded" env RECORD_FILE="$t" RECORD_LOG="$work/writes" \
	LD_PRELOAD="$tools/../unit/record-writes.so" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
	"$tools/kcache" -q restore "$full" "$work/inc1" "$t"
# each prefix of the writes, and each with one missing that no flush followed
check "before its last write the target is no volume, whatever was written" /usr/bin/python3 -c 'import os,subprocess,sys
kcache, log, work = sys.argv[1:]
data = open(log, "rb").read(); at = 0; ops = []
while at < len(data):
    end = data.index(b"\n", at); w = data[at:end].split(); at = end + 1
    if w[0] == b"sync": ops.append(None); continue
    ops.append((int(w[1]), data[at:at + int(w[2])])); at += int(w[2])
writes = [o for o in ops if o]
assert len(writes) > 40 and writes[-1][0] == 0, [w[0] for w in writes]
path = os.path.join(work, "cut")
def code():
    return subprocess.run([kcache, "dump", path], capture_output=True).returncode
with open(path, "wb", buffering=0) as f:
    f.truncate(26 << 20)
    flushed = 0; last = ops.index(writes[-1])
    assert None in ops[last + 1:], "no flush after the last write"
    assert ops[last - 1] is None, "no flush before the last write"
    for o in ops:
        if not o: continue
        assert code() == 4, o[0]
        os.pwrite(f.fileno(), o[1], o[0])
    assert code() == 0' "$tools/kcache" "$work/writes" "$work"
t=$(file target 26M)
check "one that is killed in the middle" paused 20 "$t" KILL 137 restore "$full" "$t"
check "leaves no volume" expect_exit 4 kcache dump "$t"
check "which is not blank" expect_exit 5 kcache -q restore "$full" "$t"
check "and is restored again with --force" kcache -q restore "$full" "$t" --force
check "as if nothing had been" cmp -n 26219008 "$work/at0" "$t"

# --- an interrupted copy ----------------------------------------------------------------------
check "one that is sent SIGTERM" paused 20 "$work/term.part" TERM 143 snapshot "$d" "$work/term"
check "leaves nothing" no_file "$work/term"
check "one that is killed" paused 20 "$work/term.part" KILL 137 snapshot "$d" "$work/term"
check "leaves no snapshot" test ! -e "$work/term" -a ! -e "$work/term.map"
check "and run again makes it anew" kcache -q snapshot "$d" "$work/term"
check "whole" cmp "$d" "$work/term"
check "with nothing beside it" same "$(cd "$work" && echo term*)" "term term.map"

# --- progress -----------------------------------------------------------------------------------
check "on a terminal the end of a copy is told" bash -c "script -qec \"'$tools/kcache' snapshot '$d' '$work/tty'\" /dev/null | grep -E 'Finished, time [0-9]+m[0-9]+s, 25.0 MiB done, speed'"
check "not with -q" bash -c "! script -qec \"'$tools/kcache' -q snapshot '$d' '$work/tty2'\" /dev/null | grep -E 'Finished|Progress'"
check "and not in a pipe" bash -c "! '$tools/kcache' snapshot '$d' '$work/tty3' 2>&1 | grep -E 'Finished|Progress'"
