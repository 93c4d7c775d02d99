#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# header backup and header restore on plain files: what is in the file, what is refused, and
# what a power cut leaves. A volume that is attached meanwhile is in
# tests/integration/kcache-erase.sh.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

preload=$tools/../unit
edit=$preload/luks2-edit
d=$(file vol 20M)
uuid=$(kcache -q create "$d")
known=$work/state/volumes/$uuid.json
k1=$(recipients "$d")
k2=$(kcache key create)
back=$work/vol.header
backup() { kcache header backup "$d" "$@"; }
# put back FILE: from scripts
put_back() { kcache -q header restore "$d" "$1" --force; }
restored() { kcache -q header restore "$d" "$@"; }
metadata() { "$edit" "$1" print; }
# lose: the header area
lose() { dd if=/dev/zero of="$d" bs=1M count=16 conv=notrunc status=none; }

# --- backup ---------------------------------------------------------------------
sum=$(sha256sum <"$d")
check "a backup is made" expect_exit 0 backup "$back"
check "what it is good for is said" said 'it opens the data as long as one of its KMS keys does, also after kcache erase'
check "the device was only read" unchanged "$d" "$sum"
check "it is the header area, byte by byte" cmp -n $((16 << 20)) "$d" "$back"
check "and no more" same "$(stat -c %s "$back")" $((16 << 20))
check "for its owner alone, and not to be written" same "$(stat -c %a "$back")" 400
check "cryptsetup makes the same" bash -c 'cryptsetup luksHeaderBackup "$0" --header-backup-file "$1.theirs" && cmp "$1" "$1.theirs"' "$d" "$back"
check "this host remembers where it is" json "$known" "j['backups'] == ['$back']"
check "and its keys as before" json "$known" "j['keys'] == ['$k1'] and j['generation'] == '1'"
check "it is recorded as createHeaderBackup" audited "\"event\":\"createHeaderBackup\",\"result\":\"succeeded\",\"volume\":\"$uuid\""
check "a file that is there is not overwritten" refused 5 'vol.header exists already; name a new file' backup "$back"
check "nor through a link" bash -c 'ln -s "$1/elsewhere" "$1/link"; "$0" header backup "$2" "$1/link"; [ $? -eq 5 ] && [ ! -e "$1/elsewhere" ]' "$tools/kcache" "$work" "$d"
check "a folder that is not there is told" refused 4 'cannot create .*/nofolder/header: No such file' backup "$work/nofolder/header"
check "as JSON" json <(backup -q --json "$work/two") "j['uuid'] == '$uuid' and j['bytes'] == '16777216' and j['file'] == '$work/two' and j['generation'] == '1' and j['damaged_copy'] == 0 and j['remembered']"
(cd "$work" && kcache header backup -q vol three)
check "a relative path is remembered as an absolute one" json "$known" "j['backups'] == ['$back', '$work/two', '$work/three']"
check "erase lists them, and which of them is there" json <(rm -f "$work/two"; kcache erase "$d" --dry-run --json -q) \
	"[(c['kind'], c['path'], c['there']) for c in j['still_open']] == [('header backup', '$back', True), ('header backup', '$work/two', False), ('header backup', '$work/three', True)]"
check "in words too" test "$(kcache erase "$d" --dry-run -q | grep -c "^still opens: header backup  $uuid  $work/")" -eq 3
check "attach keeps what is remembered" passes attach
check "with the backups" json "$known" "len(j['backups']) == 3"
for n in $(seq 20); do kcache -q header backup "$d" "$work/n$n"; done
check "of many, the last 16 are remembered" json "$known" "j['backups'] == ['$work/n%d' % n for n in range(5, 21)]"
rm "$work"/n*
mkdir "$work/a
b"
check "a path with a line feed is not" expect_exit 0 backup "$work/a
b/header"
check "and that is told" said 'warning: kcache erase will not list this backup: a path that is remembered'
mv "$known" "$work/known.away"
check "nor is one of a volume that this host does not know" expect_exit 0 backup --json "$work/unknown"
check "which is told" said 'will not list this backup: this host does not know volume'
mv "$work/known.away" "$known"

full=$work/full
mkdir "$full"
if mount -t tmpfs -o size=1M none "$full" 2>/dev/null; then
	check "a full disk is told" expect_exit 4 backup "$full/header"
	check "and leaves no part of a backup" test ! -e "$full/header"
	umount "$full"
fi

keep whole
dd if=/dev/urandom of="$d" bs=4096 seek=1 count=31 conv=notrunc status=none
check "of a header with one copy damaged a backup is made, with a warning" expect_exit 0 backup "$work/repaired"
check "that says which" said 'warning: the first copy of its header is damaged'
restore whole
chmod 600 "$work/repaired"
truncate -s 20M "$work/repaired"
check "both are whole in it" json <(kcache dump --json "$work/repaired") "j['damaged_copy'] == 0 and j['uuid'] == '$uuid'"
check "and say what they said" same "$(metadata "$work/repaired")" "$(metadata "$back")"
"$edit" "$d" set /config/flags '["foo"]' 2>/dev/null
check "of one that breaks a rule none is made" refused 8 . backup "$work/none"
restore whole
check "nor of what is no volume" bash -c '"$0" header backup "$1" "$2"; [ $? -eq 4 ] && [ ! -e "$2" ]' "$tools/kcache" "$(file blank 20M)" "$work/none"
cryptsetup token remove --token-id 0 "$d"
check "nor of a create that did not finish" refused 4 'its creation did not finish' backup "$work/none"
restore whole

# --- restore -----------------------------------------------------------------------
check "nobody agrees: it is not restored" refused 2 'not restored, as nobody has agreed.*--force' kcache header restore "$d" "$back"
check "-q is no agreement" refused 2 'nobody has agreed' restored "$back"
check "a dry run says so" refused 0 'would be written to .*; nothing was changed' kcache header restore "$d" "$back" --dry-run
answer() { script -qec "$tools/kcache header restore $d $back" /dev/null <<<"$1"; }
check "a typed YES is agreement" expect_exit 0 answer YES
check "and what will be is told before" said 'replaced by the one of generation 1, under 1 KMS key'
check "it is as it was" unchanged "$d" "$sum"

lose
check "a device without a header takes --force" refused 4 "no header on it that says whether it is volume $uuid .*use --force" restored "$back"
check "also for a dry run" refused 4 'use --force' restored "$back" --dry-run
check "with it the header is put back" expect_exit 0 kcache header restore "$d" "$back" --force
check "the next step is told" said 'next: kcache attach'
check "the device is as it was" unchanged "$d" "$sum"
check "it attaches" passes attach
check "it is recorded as restoreHeaderBackup" grep -q "\"event\":\"restoreHeaderBackup\",\"result\":\"succeeded\",\"volume\":\"$uuid\"" "$work/audit.jsonl"
lose
mkfs.ext4 -q -F "$d" 2>/dev/null
check "what has been made on it is told" refused 4 'ext4.*--force' restored "$back"
restore whole

dd if=/dev/urandom of="$d" bs=4096 seek=1 count=63 conv=notrunc status=none
check "a header that does not hold, but says whose it is, takes a YES" refused 2 'nobody has agreed' restored "$back"
check "as JSON" json <(kcache -q header restore "$d" "$back" --force --json) "j['restored'] and j['uuid'] == '$uuid' and j['bytes'] == '16777216' and not j['dry_run']"
check "and is as it was" unchanged "$d" "$sum"
lose
check "cryptsetup restores our file" cryptsetup luksHeaderRestore -q "$d" --header-backup-file "$back"
check "with the same outcome" unchanged "$d" "$sum"
lose
check "we restore cryptsetup's" put_back "$back.theirs"
check "so that it is as it was" unchanged "$d" "$sum"
lose
cp --sparse=always "$work/whole.img" "$work/image"
check "an image of the whole device does as well" put_back "$work/image"
check "it is whole too" unchanged "$d" "$sum"
cp "$back" "$work/damaged"
chmod 600 "$work/damaged"
dd if=/dev/urandom of="$work/damaged" bs=4096 seek=33 count=31 conv=notrunc status=none
lose
check "a backup with one copy damaged is enough" put_back "$work/damaged"
check "and both copies are put back" json <(kcache dump --json "$d") "j['damaged_copy'] == 0"
check "with what they said" same "$(metadata "$d")" "$(metadata "$back")"
restore whole

# --- the wrong file, the wrong device -------------------------------------------------
other=$(file other 20M)
kcache -q create "$other" >/dev/null
kcache -q header backup "$other" "$work/other.header"
check "another volume's header is refused" refused 4 "of volume .*, the device is volume $uuid; .*erase it first" put_back "$work/other.header"
check "a missing file" refused 4 'cannot open it' put_back "$work/none"
check "a file that is none" refused 4 'is no header for this device.*name a file that kcache header backup has written' put_back "$KCACHE_CONFIG"
head -c 1M "$back" >"$work/short"
check "one that is cut off" refused 4 'has 1048576 bytes, the header in it needs 16777216' put_back "$work/short"
echo secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid "$uuid" "$(file luks 20M)" -
check "a header that is not ours" refused 4 'not a kcache volume' put_back "$work/luks"
cp "$back" "$work/edited"
chmod 600 "$work/edited"
truncate -s 20M "$work/edited"
"$edit" "$work/edited" set /segments/0/encryption '"cipher_null-ecb"'
check "one that breaks a rule" refused 8 'is no header for this device.*cipher_null' put_back "$work/edited"
cp "$back" "$work/edited"
truncate -s 20M "$work/edited"
"$edit" "$work/edited" set /segments/0/sector_size 512
check "one with another layout" refused 8 'another layout than the device' put_back "$work/edited"
keep tmp
truncate -s 12M "$d"
check "a device that ends before the data starts" refused 8 'is no header for this device.*Need at least 16777216 bytes' put_back "$back"
restore tmp
cp "$back" "$work/edited"
truncate -s 20M "$work/edited"
cryptsetup token remove --token-id 0 "$work/edited"
check "one of a create that did not finish" refused 4 'it has no key' put_back "$work/edited"

# --- an older one ------------------------------------------------------------------------
sed -i 's/"generation":.*/"generation": "2",/' "$known"
check "one of a lower generation than this host has seen is refused" refused 8 'is of generation 1, this host has seen 2' put_back "$back"
check "which is an event" audited '"event":"restoreHeaderBackup","result":"failed"'
lose
sum2=$(sha256sum <"$d")
check "also where there is no header any more" expect_exit 8 put_back "$back"
check "and nothing is written then" unchanged "$d" "$sum2"
restore whole
sed -i 's/"lineage":.*/"lineage": "00000000000000000000000000000000",/' "$known"
check "one with another data key in the same generation, too" refused 8 'is for another data key' put_back "$back"
restore whole
mv "$known" "$work/known.away"
"$edit" "$d" set /tokens/0/context/kcache:generation '"3"'
check "one that is older than what the device says takes --force" refused 8 'the backup is of generation 1, the header on the device of 3' restored "$back"
check "which may be a lie" put_back "$back"
check "it is back as it was" unchanged "$d" "$sum"
mv "$work/known.away" "$known"
kcache -q rewrap "$d" --key "$k2"
check "one under a key that this host has forgotten is put back" expect_exit 0 put_back "$back"
check "with a warning" said "warning: this host pins none of its keys \($k1, \.\.\.\): name one with --key"
check "it attaches with --key" passes attach --key "$k1"
check "and not without" expect_exit 8 attach
restore whole

# --- a device that does not do as it says ----------------------------------------------------
lose
check "a device that does not keep its second copy is found out" expect_exit 4 env LD_PRELOAD="$preload/drop-writes.so" DROP_FILE="$d" DROP_FROM=135168 \
	DROP_TO=139264 ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" -q header restore "$d" "$back" --force
check "and told" said 'read back differently from what was written; the device does not keep'

# --- the power goes ------------------------------------------------------------------------------
# The header on the device is another one of the volume (a recipient more, noise behind it): what is there at any
# moment attaches, and the same command ends it.
restore whole
kcache -q recipient add "$d" --key "$k2"
dd if=/dev/urandom of="$d" bs=64k seek=5 count=200 conv=notrunc status=none
cp --sparse=always "$d" "$work/before"
cp "$known" "$work/known.before"
check "the writes of a restore are recorded" env RECORD_FILE="$d" RECORD_LOG="$work/writes" LD_PRELOAD="$preload/record-writes.so" \
	ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" -q header restore "$d" "$back" --force
./power-cut.py change "$tools/kcache" "$KCACHE_CONFIG" "$work/writes" "$work/before" "$work" "$known" "$work/known.before" "$k1" \
	header restore FILE "$back" --force >"$work/cuts"
while read -r line; do
	case $line in
	'ok - '*) pass "${line#ok - }" ;;
	'not ok - '*) fail "${line#not ok - }" ;;
	*) echo "$line" ;;
	esac
done <"$work/cuts"
check "the power cuts were all tried" grep -q '^# .* states' "$work/cuts"
