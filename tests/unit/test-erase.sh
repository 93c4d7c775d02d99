#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# erase on plain files: what is destroyed, what is not, what is listed, and what it refuses.
# What is attached or held is in tests/integration/kcache-erase.sh.
. "$(dirname "$0")/lib-cli.sh"

preload=$tools/../unit
volume() { f=$(file "$1" 20M) && uuid=$(kcache -q create "$f") && known=$work/state/volumes/$uuid.json; }
erase() { kcache erase "$f" "$@"; }
# head_is_zero FILE: the 16 MiB before the data
head_is_zero() { cmp -n $((16 << 20)) "$1" /dev/zero; }
# put FILE OFFSET LENGTH: noise there
put() { head -c "$3" /dev/urandom | dd of="$1" bs=4096 seek=$(($2 / 4096)) conv=notrunc status=none; }
audited() { tail -n 1 "$work/audit.jsonl" | grep -E -- "$1"; }
# refused CODE REGEX COMMAND...: and nothing on $f changes
refused() {
	local code=$1 regex=$2 before
	shift 2

	before=$(sha256sum <"$f")
	expect_exit "$code" "$@" || return
	tail -n 1 "$_said" | grep -E -- "$regex" || { echo "does not say: $regex"; return 1; }
	unchanged "$f" "$before"
}

# --- asking -------------------------------------------------------------------
volume vol
put "$f" $((16 << 20)) 4194304
data=$(tail -c 4194304 "$f" | sha256sum)
check "nobody agrees: it is not erased" refused 2 'not erased, as nobody has agreed.*--force' erase
check "-q is no agreement" refused 2 'nobody has agreed' erase -q
check "a dry run says what would be destroyed" refused 0 'the header of .*, 16.0 MiB, would be destroyed; nothing was changed' erase --dry-run
check "with --force too" refused 0 'would be destroyed' erase --dry-run --force
check "as JSON" json <(erase --dry-run --json 2>/dev/null) "j['uuid'] == '$uuid' and j['dry_run'] and not j['erased'] and j['bytes'] == '16777216' and j['still_open'] == []"
check "no is no" refused 2 'nobody has agreed' typed no "$tools/kcache" erase "$f"
check "and yes in lower case too" refused 2 'nobody has agreed' typed yes "$tools/kcache" erase "$f"
check "the volume is known to this host" test -e "$known"
check "a typed YES is agreement" expect_exit 0 typed YES "$tools/kcache" erase "$f"
check "and what goes with it was told before" said 'header, the first 16.0 MiB of the device, will be destroyed'

# --- what is gone, what is not ----------------------------------------------------
check "all before the data reads as zeros" head_is_zero "$f"
check "the data is as it was" same "$(tail -c 4194304 "$f" | sha256sum)" "$data"
check "blkid sees nothing" expect_exit 2 blkid -p "$f"
check "cryptsetup no header" not cryptsetup isLuks "$f"
check "dump no volume" expect_exit 4 kcache dump "$f"
check "attach neither" expect_exit 4 kcache attach -q "$f" vol-of-test
check "it is recorded as deleteVolume" audited "\"event\":\"deleteVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\",\"device\":\"$f\""
check "this host does not know it any more" test ! -e "$known"
check "again there is nothing to erase" refused 4 'no LUKS2 header' erase --force
check "and a new volume can be made there" kcache -q create --force "$f"

# --- no KMS ---------------------------------------------------------------------------
volume nokms
sed 's,^helper.*,helper = /nonexistent,' "$KCACHE_CONFIG" >"$work/nokms.conf"
chmod 600 "$work/nokms.conf"
check "no KMS is asked" expect_exit 0 kcache --config "$work/nokms.conf" erase -q --force --json "$f"
check "and the JSON says that it is erased" json "$_said" "j['erased'] and not j['dry_run'] and j['version'] == 1 and j['device'] == '$f'"
check "all of it is" head_is_zero "$f"

# --- what it is for, and what not -------------------------------------------------------
f=$work/none
check "a missing device is refused" expect_exit 4 erase --force
f=$(file blank 20M)
check "a blank one" refused 4 'no LUKS2 header' erase --force
mkfs.ext4 -q "$f"
check "a filesystem" refused 4 'no LUKS2 header' erase --force
f=$(file luks 20M)
echo secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$f" -
check "and a LUKS2 volume of somebody else's" refused 4 'not a kcache volume; use cryptsetup for it' erase --force

volume unfinished
cryptsetup token remove --token-id 0 "$f"
check "a create that did not finish asks as well" refused 2 'nobody has agreed' erase
check "and is erased" expect_exit 0 erase -q --force
check "all of it" head_is_zero "$f"

volume first
put "$f" 0 131072
check "with one copy damaged the other one tells what it is" expect_exit 0 erase -q --force
check "and both go" head_is_zero "$f"

volume both
put "$f" 4096 126976
put "$f" $((131072 + 4096)) 126976
check "where neither holds, it takes --force" refused 8 'refuses the LUKS2 header.*or destroy it all the same with --force' erase
check "a dry run as well" refused 8 '--force' erase --dry-run
check "with it such a header is destroyed" expect_exit 0 erase -q --force
check "all of it is" head_is_zero "$f"
check "it is known by its UUID still" audited "\"event\":\"deleteVolume\",.*\"volume\":\"$uuid\""

volume edited
cryptsetup config --subsystem other "$f"
check "one that was edited takes --force" refused 8 'subsystem is not "kcache".*--force' erase
check "and is destroyed with it" expect_exit 0 erase -q --force
check "with all there is" head_is_zero "$f"

# --- what still opens -------------------------------------------------------------------
volume mother
sister=6b636163-6865-4a11-8bad-000000000001
stranger=6b636163-6865-4a11-8bad-000000000002
sed "s/$uuid/$sister/" "$known" >"$work/state/volumes/$sister.json"
sed "s/$uuid/$stranger/; s/\"lineage\":.*/\"lineage\": \"00000000000000000000000000000000\",/" "$known" >"$work/state/volumes/$stranger.json"
chmod 600 "$work/state/volumes/"*
erase -q --dry-run >"$work/listed"
check "a known volume of the same lineage is listed" grep -E "^still opens: volume +$sister +\(its device is not here\)" "$work/listed"
check "one of another lineage is not" not grep -q $stranger "$work/listed"
check "with JSON too" json <(erase --dry-run --json -q) "[(c['kind'], c['uuid'], c['path'], c['there']) for c in j['still_open']] == [('volume', '$sister', None, False)]"
echo '{' >"$work/state/volumes/6b636163-6865-4a11-8bad-000000000003.json"
check "a file of a known volume that cannot be read does not keep it" expect_exit 0 erase -q --force
check "and is told" said "warning: a known volume may have the same key"
check "the sister is known on" test -e "$work/state/volumes/$sister.json"
rm "$work/state/volumes/"*

# --- a device that does not do as it says --------------------------------------------------
# kept FROM TO: bytes that cannot be written
kept() { env LD_PRELOAD="$preload/drop-writes.so" DROP_FILE="$f" DROP_FROM="$1" DROP_TO="$2" ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "${@:3}"; }
for place in "0 4096 first-copy" "135168 139264 second-copy" "270336 274432 keyslots" "16773120 16777216 end"; do
	read -r from to name <<<"$place"
	volume "kept-$name"
	check "a device that keeps its $name is found out" expect_exit 4 kept "$from" "$to" "$tools/kcache" erase -q --force "$f"
	check "and told" said 'read back differently from what was written; the device does not keep what is written'
	check "recorded as failed" audited "\"event\":\"deleteVolume\",\"result\":\"failed\",.*\"volume\":\"$uuid\""
	check "the volume is known on" test -e "$known"
	check "one that says so, too" expect_exit 4 env DROP_ERROR=1 LD_PRELOAD="$preload/drop-writes.so" DROP_FILE="$f" DROP_FROM="$from" DROP_TO="$to" \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" erase -q --force "$work/kept-$name"
done
volume bad-place
DROP_ERROR=1 kept 270336 274432 "$tools/kcache" erase -q --force "$f" 2>/dev/null
check "one bad place does not keep the rest" cmp -n 262144 "$f" /dev/zero
check "nor what is behind it" cmp -i $((4 << 20)) -n $((12 << 20)) "$f" /dev/zero

# --- the power goes ---------------------------------------------------------------------------
# Up to the last of its writes the same command finds the volume again.
# cut_after N: killed when so many writes are done
cut_after() {
	local pid

	env RECORD_FILE="$f" RECORD_PAUSE="$1" LD_PRELOAD="$preload/record-writes.so" \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" erase -q --force "$f" 2>"$work/paused" &
	pid=$!
	wait_for 20 grep -q paused "$work/paused" && kill -9 $pid
	wait $pid
	grep -q paused "$work/paused"
}
for n in 1 16 17 32 33 34 36; do
	volume "cut-$n"
	check "it is killed after write $n" cut_after $n
	check "what is left is a volume, or one that does not hold" kcache erase -q --force --dry-run "$f"
	check "the same again ends it" kcache erase -q --force "$f"
	check "with nothing left" head_is_zero "$f"
	check "and nothing known" test ! -e "$known"
done
