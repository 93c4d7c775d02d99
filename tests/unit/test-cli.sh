#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command on plain files: usage, refusals, exit codes, JSON. No device-mapper
# and no privilege is needed for any of it.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"

# --- usage ------------------------------------------------------------------
check "--version prints the version" same "$(kcache --version)" "kcache $(cat "$top/VERSION")"
check "--help is not an error" expect_exit 0 kcache --help
for v in create attach detach status list dump rewrap; do
	check "$v --help shows its usage" bash -c '"$0" "$1" --help | grep -q "^Usage: kcache $1"' "$tools/kcache" "$v"
done
check "an unknown verb is usage" expect_exit 1 kcache mangle
check "and is named" said '^kcache: there is no verb `mangle'\''; see kcache --help$'
check "an unknown option is usage" expect_exit 1 kcache list --colour
check "and is named" said 'there is no option --colour'
check "an abbreviated option is usage" expect_exit 1 kcache create --forc x
check "an option that wants a value and has none is usage" expect_exit 1 kcache create x --key
check "a flag with a value is usage" expect_exit 1 kcache create x --force=yes
check "an option twice is usage" expect_exit 1 kcache create x --key a --key b
check "an empty option value is usage" expect_exit 1 kcache create x --key ''
check "an empty argument is usage" expect_exit 1 kcache dump ''
check "a missing argument is usage" expect_exit 1 kcache attach /dev/null
check "a surplus argument is usage" expect_exit 1 kcache dump a b
check "-- ends the options" expect_exit 4 kcache dump -- --force
for size in 0 1 256 1000 8192 4k -512 4294967296; do
	check "--sector-size $size is usage" expect_exit 1 kcache create "$work/none" --sector-size "$size"
done
check "a label that does not fit is usage" expect_exit 1 kcache create "$work/none" \
	--label 123456789012345678901234567890123456789012345678
for name in a/b 'a b' . .. control "$(printf 'x%.0s' {1..128})" $'a\nb' 'ä'; do
	check "the name $(printf %.12q "$name") is usage, before a device is looked at" expect_exit 1 kcache attach "$work/none" "$name"
	check "also for detach" expect_exit 1 kcache detach "$name"
done
# verb and options that are not its own, from the help text itself
every=$(for v in create attach detach status list dump rewrap; do kcache $v --help; done | grep -o -e '--[a-z-]*' | sort -u)
global=$(kcache --help | grep -o -e '--[a-z-]*' | sort -u)
for v in create attach detach status list dump rewrap; do
	own=$(kcache $v --help | grep -o -e '--[a-z-]*')
	for o in $every; do
		grep -qxF -e "$o" <<<"$own"$'\n'"$global" && continue
		value=()
		case $o in --key | --label | --from | --to | --grant-token | --ephemeral | --on-revoke) value=(x) ;; --sector-size | --timeout | --lease) value=(512) ;; esac
		args=()
		case $v in attach) args=("$work/none" n) ;; create | dump | rewrap) args=("$work/none") ;; detach) args=(n) ;; esac
		check "$v refuses $o" expect_exit 1 kcache $v "${args[@]}" "$o" "${value[@]}"
		check "and says so" said "kcache $v does not take $o"
	done
done
check "a full standard output is not success" bash -c '! "$0" --version >/dev/full' "$tools/kcache"

# --- create -----------------------------------------------------------------
# refused SENTENCE CODE REGEX FILE [ARG...]: create fails with CODE, says REGEX and writes nothing
refused() {
	local sentence=$1 code=$2 regex=$3 f=$4 before
	shift 4
	before=$(sha256sum <"$f")
	check "create refuses $sentence" expect_exit "$code" kcache -q create "$f" "$@"
	check "in one line that says so" said "^kcache: $f: .*$regex"
	check "and nothing else" same "$(wc -l <"$_said")" 1
	check "and writes nothing" unchanged "$f" "$before"
}

v=$(file vol 20M)
check "a dry run checks" expect_exit 0 kcache create "$v" --dry-run
check "and writes nothing" cmp -n 20971520 "$v" /dev/zero
check "and makes no key" not test -e "$work/state/keystore.db"
check "create makes a volume on an empty file" expect_exit 0 kcache create "$v" --label archive
uuid=$(head -n 1 "$_said")
check "and prints its UUID" said '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
check "and the next step" said "next: kcache attach $v NAME"
check "stock cryptsetup knows it as LUKS2" cryptsetup isLuks --type luks2 "$v"
check "with the UUID that was printed" same "$(cryptsetup luksUUID "$v")" "$uuid"
check "this host remembers it" test -s "$work/state/volumes/$uuid.json"
for e in GenerateDataKeyWithoutPlaintext Decrypt createVolume; do
	check "there is an audit event $e" grep -q "\"$e\".*$uuid\|$uuid.*\"$e\"" "$work/audit.jsonl"
done

refused "a complete volume" 5 'not blank: a signature of crypto_LUKS \(UUID '"$uuid"'\)' "$v"
check "--force overwrites it" expect_exit 0 kcache -q create "$v" --force
check "with another UUID" not grep -q "$uuid" "$_said"

refused "a file that is too small" 4 . "$(file small 1M)"
refused "an empty file" 4 . "$(file nothing 0)"
f=$(file fs 20M)
mkfs.ext4 -q -F "$f"
refused "a filesystem" 5 'not blank: a signature of ext4' "$f"
refused "one also with a sector size" 5 'not blank' "$f" --sector-size 512
f=$(file first 20M)
printf x | dd of="$f" bs=1 seek=700000 conv=notrunc status=none
refused "anything in the first MiB" 5 'not blank: data in the first MiB' "$f"
f=$(file last 20M)
printf x | dd of="$f" bs=1 seek=20971519 conv=notrunc status=none
refused "anything in the last MiB" 5 'not blank: data in the last MiB' "$f"
f=$(file mid 20M)
printf x | dd of="$f" bs=1 seek=10485760 conv=notrunc status=none
check "what is in between is not looked at" expect_exit 0 kcache -q create "$f"
f=$(file gpt 20M)
printf 'label: gpt\n,,\n' | sfdisk -q "$f"
refused "a partition table" 5 'a partition table of type gpt' "$f"
check "--force overwrites it" expect_exit 0 kcache -q create "$f" --force
check "and leaves no trace of it" same "$(blkid -p -o value -s TYPE "$f") $(blkid -p -o value -s PTTYPE "$f")" "crypto_LUKS "
f=$(file odd $((20 * 1024 * 1024 + 512)))
refused "4096-byte sectors where the size does not fit them" 4 'no multiple of 4096; use --sector-size 512' "$f" --sector-size 4096
check "and takes 512 by itself" expect_exit 0 kcache -q create "$f" --json
check "as the JSON says" json "$_said" 'j["sector_size"] == 512'
check "a directory is a wrong device" expect_exit 4 kcache create "$work"
check "a missing device is a wrong device" expect_exit 4 kcache create "$work/none"
check "a character device is a wrong device" expect_exit 4 kcache create /dev/null
refused "a key that is not there" 7 . "$(file nokey 20M)" --key local:alias/nobody
refused "a provider that is not there" 1 . "$(file noprov 20M)" --key nowhere:alias/x
sed "s,^helper.*,helper = $work/nohelper," "$work/kcache.conf" >"$work/nohelper.conf"
refused "to go on without its key helper" 1 "$work/nohelper" "$(file nohelper.img 20M)" --config "$work/nohelper.conf"

# on a terminal a question is asked; only YES is yes
answer() { script -qec "$tools/kcache create $1" /dev/null <<<"$2"; }
f=$(file tty 20M)
mkfs.ext4 -q -F "$f"
before=$(sha256sum <"$f")
check "on a terminal, 'yes' is not enough" expect_exit 5 answer "$f" yes
check "and nothing is written" unchanged "$f" "$before"
check "on a terminal, YES is" expect_exit 0 answer "$f" YES
check "and a volume is made" cryptsetup isLuks --type luks2 "$f"

# --- an unfinished create ---------------------------------------------------
f=$(file half 20M)
check "a volume is made" expect_exit 0 kcache -q create "$f"
check "without its token" cryptsetup token remove --token-id 0 "$f"
check "dump says that it is unfinished" expect_exit 0 kcache dump "$f"
check "in words" said 'creation did not finish'
check "and in JSON" expect_exit 0 kcache dump --json "$f"
check "and in JSON" json "$_said" 'j["unfinished"] is True and j["recipients"] == []'
check "create completes it without --force" expect_exit 0 kcache -q create "$f" --json
check "and says that it did" json "$_said" 'j["completed"] is True'
check "and it is complete" expect_exit 0 kcache dump --json "$f"
check "and it is complete" json "$_said" 'j["unfinished"] is False and len(j["recipients"]) == 1'

# --- dump -------------------------------------------------------------------
f=$(file shown 20M)
check "create prints JSON" expect_exit 0 kcache -q create "$f" --json --label 'one label' --sector-size 2048
check "of the promised shape" json "$_said" 'j["version"] == 1 and j["device"] == "'"$f"'" and j["provider"] == "local"
	and j["key"].startswith("local:") and j["sector_size"] == 2048 and j["offset"].isdigit() and j["size"].isdigit()
	and int(j["offset"]) + int(j["size"]) == 20971520 and j["generation"] == "1" and len(j["lineage"]) == 32
	and j["completed"] is False and j["dry_run"] is False and len(j["uuid"]) == 36'
cp "$_said" "$work/created.json"
check "nothing but JSON on standard output" bash -c '"$0" dump --json "$1" 2>/dev/null | /usr/bin/python3 -m json.tool' "$tools/kcache" "$f"
before=$(sha256sum <"$f")
check "dump prints JSON" expect_exit 0 kcache dump --json "$f"
cp "$_said" "$work/dump.json"
check "dump's JSON has the promised shape" json "$work/dump.json" 'list(j) == ["version", "device", "uuid", "label",
	"unfinished", "operation", "clone_uuid", "damaged_copy", "cipher", "key_bits", "sector_size", "offset", "size", "iv_tweak", "flags", "layout",
	"recipients"] and j["version"] == 1 and j["label"] == "one label" and j["cipher"] == "aes-xts-plain64"
	and j["key_bits"] == 512 and j["iv_tweak"] == "0" and j["flags"] is None and j["damaged_copy"] == 0
	and j["operation"] is None and j["clone_uuid"] is None'
check "and one recipient with all its members" json "$work/dump.json" 'list(j["recipients"][0]) == ["token", "provider",
	"key", "wrapped_bytes", "wrapped_dek", "context", "lineage", "created", "lease", "on_revoke", "keyslot", "mac"]
	and j["recipients"][0]["context"] == {"kcache:id": j["uuid"], "kcache:layout": j["layout"], "kcache:generation": "1"}
	and j["recipients"][0]["on_revoke"] == "keep" and j["recipients"][0]["lease"] == "0"'
check "dump and create say the same" json "$work/dump.json" \
	'all(j[k] == json.load(open("'"$work"'/created.json"))[k] for k in ("uuid", "offset", "size", "sector_size"))'
check "the wrapped DEK is as long as dump says" json "$work/dump.json" \
	'len(base64.b64decode(j["recipients"][0]["wrapped_dek"], validate=True)) == j["recipients"][0]["wrapped_bytes"]'
check "dump prints text" expect_exit 0 kcache dump "$f"
check "with the recipient" said 'wrapped DEK: [0-9]+ bytes'
check "dump writes nothing" unchanged "$f" "$before"

check "dump of a blank file is a wrong device" expect_exit 4 kcache dump "$(file blank 20M)"
f=$(file luks 20M)
printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$f" -
check "dump of somebody else's LUKS2 is a wrong device" expect_exit 4 kcache dump "$f"
refused "somebody else's LUKS2" 5 'not blank: a signature of crypto_LUKS' "$f"
printf secret | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "$f" -
check "dump of LUKS1 is a wrong device" expect_exit 4 kcache dump "$f"

# one copy damaged: byte 4096 is in the JSON of the first, 131072 + 4096 in that of the second
for copy in 1 2; do
	cp "$work/shown" "$work/damaged"
	printf '\377' | dd of="$work/damaged" bs=1 seek=$(((copy - 1) * 131072 + 5000)) conv=notrunc status=none
	before=$(sha256sum <"$work/damaged")
	check "dump reads a volume with header copy $copy damaged" expect_exit 0 kcache dump --json "$work/damaged"
	check "warns" said 'warning: the (first|second) copy of its header is damaged'
	check "does not repair it" unchanged "$work/damaged" "$before"
	grep -v '^kcache:' "$_said" >"$work/damaged.json"
	check "and says which" json "$work/damaged.json" "j['damaged_copy'] == $copy"
done

# --- the key ----------------------------------------------------------------
key=$(/usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["key"])' "$work/created.json")
check "the key is disabled" expect_exit 0 kcache key disable "$key"
refused "a disabled key" 7 'Disabled|disabled' "$(file disabled 20M)" --key "$key"
check "the key is enabled again" expect_exit 0 kcache key enable "$key"
check "and makes a volume" expect_exit 0 kcache -q create "$(file enabled 20M)" --key "$key"
