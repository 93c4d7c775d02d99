#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# adopt on plain files: what cryptsetup made becomes a volume of ours, or is refused with the reason
# and the next step; what a power cut leaves is opened by the old passphrase or by the KMS. The data
# itself, and a volume that is attached, are in tests/integration/kcache-erase.sh.
#
# shellcheck disable=SC2016,SC2119,SC2120 # for a shell in the shell; options are optional
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

preload=$tools/../unit
edit=$preload/luks2-edit
printf 'open sesame' >"$work/pass"
printf 'open sesame\n' >"$work/pass.line"
head -c 4096 /dev/urandom >"$work/keyfile"
# luks NAME [luksFormat's options]: sets $d, of 20 MiB, with "data" in its last 4 MiB
luks() {
	d=$(file "$1" 20M)
	shift
	cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$@" "$d" "$work/pass"
	head -c 4M /dev/urandom | dd of="$d" bs=1M seek=16 conv=notrunc status=none
	uuid=$(cryptsetup luksUUID "$d")
	known=$work/state/volumes/$uuid.json
}
adopt() { kcache adopt "$d" "$@"; }
# adopts [options]: from scripts
adopts() { kcache -q adopt "$d" --force --passphrase-file "$work/pass" "$@"; }
opens() { cryptsetup open --test-passphrase --disable-external-tokens -q --key-file "${2:-$work/pass}" "$1"; }
data() { tail -c 4194304 "$d" | sha256sum; }
# gone FILE OFFSET LENGTH: those bytes of $work/before are not there in FILE any more
gone() { test "$(cmp -l -n "$3" -i "$2" "$work/before" "$1" | wc -l)" -gt $(($3 / 2)); }

# --- asking ---------------------------------------------------------------------
luks vol --label mine
check "nobody agrees: it is not adopted" refused 2 'not adopted, as nobody has agreed.*--force' kcache adopt "$d" --passphrase-file "$work/pass"
check "-q is no agreement" refused 2 'nobody has agreed' kcache adopt -q "$d" --passphrase-file "$work/pass"
check "a dry run says what would go, and asks for nothing" refused 0 'its 1 keyslots and 0 tokens would go; nothing was changed, no KMS was asked' kcache adopt "$d" --dry-run
check "as JSON" json <(adopt --dry-run --json -q) "j['uuid'] == '$uuid' and j['dry_run'] and not j['adopted'] and j['keyslots_removed'] == 1 and j['offset'] == '16777216' and j['size'] == '4194304'"
check "two sources of a passphrase are usage" refused 1 'not both' adopts --key-file "$work/keyfile"
printf wrong >"$work/wrong"
check "a wrong passphrase is told" refused 2 'no keyslot opens with that' kcache -q adopt "$d" --force --passphrase-file "$work/wrong"
check "a wrong key file too" refused 2 'no keyslot opens with that' kcache -q adopt "$d" --force --key-file "$work/keyfile"
check "one that is not there" refused 2 'cannot read the key file' kcache -q adopt "$d" --force --key-file "$work/none"
check "without a terminal or a file there is no passphrase" bash -c 'setsid "$0" adopt "$1" --force </dev/null; [ $? -eq 2 ]' "$tools/kcache" "$d"
check "an unknown key is the KMS's refusal" refused 7 . adopts --key local:alias/none
sed 's,^helper.*,helper = /bin/false,' "$KCACHE_CONFIG" >"$work/nokms.conf"
chmod 600 "$work/nokms.conf"
check "without a KMS nothing is done" refused 6 . adopts --config "$work/nokms.conf"
k=$(kcache key create --alias off)
kcache key disable "$k" -q
check "a disabled key is refused" refused 7 'Disabled; enable it' adopts --key "$k"
check "which is an event" audited '"event":"adoptVolume","result":"failed"'
check "this host does not know it" test ! -e "$known"

# --- adopted ------------------------------------------------------------------------
cp --sparse=always "$d" "$work/before"
was=$(data)
cryptsetup luksDump -q --dump-volume-key --key-file "$work/pass" --volume-key-file "$work/mk" "$d" >/dev/null
# with_passphrase TEXT COMMAND...: YES, and then TEXT
with_passphrase() { dialogue "YES to go on" $'YES\n' "opens it now:" "$1" -- "${@:2}"; }
check "Ctrl-C at the question for the passphrase ends it" refused 130 'interrupted' with_passphrase $'\003' "$tools/kcache" adopt "$d"
check "typed YES and passphrase" expect_exit 0 with_passphrase $'open sesame\n' "$tools/kcache" adopt "$d"
check "what will go was told" said 'passphrases and key files that open it now \(1 keyslots\) will not open it any more, nor will its tokens \(it has none\)'
check "and what has gone" said 'the passphrases it had do not open it any more'
check "its UUID is printed" said "^$uuid"
check "the passphrase was not" not grep -q sesame "$_said"
check "the data is as it was" same "$(data)" "$was"
check "it is a volume" kcache dump "$d" --json
kcache dump "$d" --json >"$work/dump.json"
check "with UUID and label as before" json "$work/dump.json" "j['uuid'] == '$uuid' and j['label'] == 'mine' and j['damaged_copy'] == 0 and len(j['recipients']) == 1"
check "of generation 1" json "$work/dump.json" "j['recipients'][0]['context']['kcache:generation'] == '1'"
check "its volume key is the one it had" cryptsetup open --test-passphrase --volume-key-file "$work/mk" "$d"
check "the old passphrase opens it no more" not opens "$d"
check "it attaches" passes attach
check "the host knows it" json "$known" "j['uuid'] == '$uuid' and j['generation'] == '1' and len(j['keys']) == 1"
check "the KMS was asked to wrap, and then to open" same "$(grep -oE '"event":"(Encrypt|Decrypt|adoptVolume)"' "$work/audit.jsonl" | cut -d'"' -f4 | head -n 5 | paste -sd' ')" "adoptVolume Encrypt Decrypt adoptVolume Decrypt"
check "recorded as adoptVolume" grep -q "\"event\":\"adoptVolume\",\"result\":\"succeeded\",\"volume\":\"$uuid\",.*\"wrapped-by\":\"Encrypt\",\"proven-by\":\"Decrypt\"" "$work/audit.jsonl"
check "of the old keyslot nothing is left" gone "$d" 32768 258048
check "it can be rewrapped" kcache -q rewrap "$d" --key "$(kcache key create --alias next)"
check "and have more recipients" kcache -q recipient add "$d" --key alias/kcache
check "again, there is nothing to adopt" expect_exit 0 adopts --json
check "as JSON says" json "$_said" "not j['adopted'] and j['uuid'] == '$uuid' and j['keyslots_removed'] == 0"
check "and in words" expect_exit 0 adopt
check "about what an interrupted one may have left" said 'it is a volume of kcache already; what an interrupted adoption may have left'
check "it attaches still" passes attach
check "its data is as it was" same "$(data)" "$was"

# --- kinds ------------------------------------------------------------------------------
luks many --pbkdf-memory 32 --sector-size 512
cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$work/pass" "$d" "$work/keyfile"
cryptsetup luksAddKey -q --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory 32 --key-file "$work/pass" "$d" "$work/wrong"
cryptsetup token add --key-description kcache-test "$d"
cryptsetup config --priority prefer --key-slot 1 "$d"
check "three keyslots and a token go" json <(kcache -q adopt "$d" --force --key-file "$work/keyfile" --json) \
	"j['adopted'] and j['keyslots_removed'] == 3 and j['tokens_removed'] == 1 and j['sector_size'] == 512 and j['key'].startswith('local:')"
for p in pass keyfile wrong; do check "with $p it does not open" not opens "$d" "$work/$p"; done
check "it attaches" passes attach
luks line
check "a line feed at the end of a passphrase file is none of it" expect_exit 0 kcache -q adopt "$d" --force --passphrase-file "$work/pass.line"
luks pipe
check "standard input does as well" bash -c '"$0" -q adopt "$1" --force --passphrase-file - <"$2"' "$tools/kcache" "$d" "$work/pass"
luks keyin
check "for a key file, too" bash -c '"$0" -q adopt "$1" --force --key-file - <"$2"' "$tools/kcache" "$d" "$work/pass"
luks large --luks2-metadata-size 128k --luks2-keyslots-size 8m
check "larger metadata are kept" expect_exit 0 adopts
check "as they were" same "$("$edit" "$d" print /config/json_size)" '"126976"'
check "it attaches" passes attach
luks huge --luks2-metadata-size 256k
check "metadata larger than ours are refused" refused 4 'metadata of at most 128 KiB, its has 256 KiB' adopts
luks flags
"$edit" "$d" set /config/flags '["allow-discards"]'
check "flags are kept" expect_exit 0 adopts
check "and attach takes them" same "$("$edit" "$d" print /config/flags)" '["allow-discards"]'
check "for good" passes attach
d=$(file slow 20M)
cryptsetup luksFormat -q --pbkdf argon2id --pbkdf-memory 32768 --iter-time 100 "$d" "$work/pass"
check "a volume as cryptsetup makes it has a digest to wait for" test "$("$edit" "$d" print /digests/0/iterations)" -gt 10000
check "it is adopted" expect_exit 0 adopts
check "and nobody waits any more" same "$("$edit" "$d" print /digests/0/iterations) $("$edit" "$d" print /keyslots/0/kdf/iterations)" "1000 1000"
luks first
dd if=/dev/urandom of="$d" bs=4096 count=4 conv=notrunc status=none
check "a volume with its first copy damaged is adopted" expect_exit 0 adopts
check "and has two good ones" json <(kcache dump --json "$d") "j['damaged_copy'] == 0"
luks second
dd if=/dev/urandom of="$d" bs=4096 seek=4 count=4 conv=notrunc status=none
check "one with its second, too" expect_exit 0 adopts
check "with two good ones" json <(kcache dump --json "$d") "j['damaged_copy'] == 0"
luks small --luks2-keyslots-size 512k 2>/dev/null
cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$work/pass" "$d" "$work/keyfile" 2>/dev/null
check "where the keyslots leave no room it is refused" refused 4 'leave no room for one more; remove one of them with cryptsetup luksKillSlot' adopts
cryptsetup luksKillSlot -q --key-file "$work/pass" "$d" 1 2>/dev/null
check "and not when one of them has gone" expect_exit 0 adopts

# --- once known, never again under an older generation ---------------------------------------
luks again
cp --sparse=always "$d" "$work/luks"
adopts >/dev/null
sed -i 's/"generation":.*/"generation": "5",/' "$known"
cp --sparse=always "$work/luks" "$d"
check "one that was adopted, and whose old header was put back, is adopted again" expect_exit 0 adopts --json
check "in the generation that this host knows" json "$_said" "j['generation'] == '5'"
sed -i 's/"lineage":.*/"lineage": "00000000000000000000000000000000",/' "$known"
cp --sparse=always "$work/luks" "$d"
check "one with another key than this host knew by its UUID is of the next" expect_exit 0 adopts --json
check "generation" json "$_said" "j['generation'] == '6'"
check "it attaches" passes attach

# --- what cannot be ------------------------------------------------------------------------------
luks cbc --cipher aes-cbc-essiv:sha256 --key-size 256
check "another cipher is refused" refused 4 'kcache has aes-xts-plain64, its cipher is aes-cbc-essiv:sha256; reencrypt it: cryptsetup reencrypt --cipher' adopts
check "by a dry run too" refused 4 'its cipher is' kcache adopt "$d" --dry-run
luks aes128 --cipher aes-xts-plain64 --key-size 256
check "AES-128" refused 4 'its key is of 256 bits, for AES-128; reencrypt it' adopts
d=$(file luks1 20M)
cryptsetup luksFormat -q --type luks1 --key-size 512 --pbkdf-force-iterations 1000 "$d" "$work/pass"
check "LUKS1" refused 4 'it is LUKS1, not LUKS2; convert it with cryptsetup convert --type luks2' adopts
cryptsetup convert -q --type luks2 "$d"
check "and not when it is converted" expect_exit 0 adopts
check "it attaches" passes attach
luks fixed
"$edit" "$d" set /segments/0/size '"1048576"'
check "data of a fixed size" refused 4 'its data has a fixed size' adopts
luks tweak
"$edit" "$d" set /segments/0/iv_tweak '"8"'
check "IVs that do not start at 0" refused 4 'its IVs do not start at 0' adopts
luks pending
cryptsetup reencrypt -q --init-only --resilience none --pbkdf-force-iterations 1000 --pbkdf pbkdf2 --key-file "$work/pass" "$d" 2>/dev/null
check "a reencryption on its way" refused 4 'online-reencrypt.*; finish it with cryptsetup reencrypt --resume-only' adopts
check "a blank device" refused 4 'no LUKS2 header.*name a LUKS2 volume, or make a new one' kcache -q adopt "$(file blank 20M)" --force --passphrase-file "$work/pass"
d=$(file unfinished 20M)
kcache -q create "$d" >/dev/null
cryptsetup token remove --token-id 0 "$d"
check "a create that did not finish" refused 4 'run kcache create on it again' adopts
d=$(file weak 20M)
{ head -c 32 "$work/keyfile"; head -c 32 "$work/keyfile"; } >"$work/halves"
cryptsetup luksFormat -q --key-size 512 --volume-key-file "$work/halves" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$d" "$work/pass"
check "a key of two equal halves" refused 4 'the two halves of its key are equal.*; reencrypt it' adopts
d=$(file broken 20M)
kcache -q create "$d" >/dev/null
"$edit" "$d" set /segments/0/iv_tweak '"8"'
"$edit" "$d" set /keyslots '{}'
check "a volume of ours that breaks a rule" refused 8 . adopts
check "and a device that is not there" expect_exit 4 kcache adopt "$work/none"

# --- a device that does not do as it says ------------------------------------------------------
for place in "0 16384 first-copy" "16384 32768 second-copy" "290816 548864 keyslot"; do
	read -r from to name <<<"$place"
	luks "kept-$name"
	check "a device that keeps its $name is found out" expect_exit 4 env LD_PRELOAD="$preload/drop-writes.so" DROP_FILE="$d" DROP_FROM="$from" DROP_TO="$to" \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" -q adopt "$d" --force --passphrase-file "$work/pass"
	check "and told" said 'read back differently'
	check "the old passphrase or the KMS opens it" bash -c 'cryptsetup open --test-passphrase --disable-external-tokens -q --key-file "$1" "$2" || "$0" dump "$2"' "$tools/kcache" "$work/pass" "$d"
done

# --- the power goes ------------------------------------------------------------------------------
luks cut
cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$work/pass" "$d" "$work/keyfile"
cp --sparse=always "$d" "$work/before"
check "the writes of an adoption are recorded" env RECORD_FILE="$d" RECORD_LOG="$work/writes" LD_PRELOAD="$preload/record-writes.so" \
	ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "$tools/kcache" -q adopt "$d" --force --passphrase-file "$work/pass"
./power-cut.py adopt "$tools/kcache" "$KCACHE_CONFIG" "$work/writes" "$work/before" "$work" "$work/pass" >"$work/cuts"
while read -r line; do
	case $line in
	'ok - '*) pass "${line#ok - }" ;;
	'not ok - '*) fail "${line#not ok - }" ;;
	*) echo "$line" ;;
	esac
done <"$work/cuts"
check "the power cuts were all tried" grep -q '^# .* states' "$work/cuts"
