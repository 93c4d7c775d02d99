#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache policy on plain files: what a file holds, which rule is about it, what is said and
# with which exit code. Block devices and what stands on them are for
# tests/integration/kcache-policy.sh.
. "$(dirname "$0")/lib-cli.sh"

# policy LINE...: the host's policy from here on. The filesystem that the test's files lie
# on is no part of it: files have what is below them as their own otherwise.
base=$(<"$KCACHE_CONFIG")
policy() { printf '%s\n' "$base" "$@" >"$KCACHE_CONFIG"; }
# verdict FILE: what --json says of it, "result holds"
verdict() {
	kcache policy check "$1" --json 2>/dev/null |
		jq -r 'if .covered == 0 then "not covered" else .devices[0] | (if .violates then "violates " else "ok " end) + .holds end'
}

# --- what is in force ----------------------------------------------------------
policy
check "without a policy nothing is required" expect_exit 0 kcache policy check "$(file none 1M)"
check "and that is said" said 'this host has no policy'
check "nothing is printed then" same "$(kcache -q policy check "$work/none")" ""
check "the defaults are shown" grep -qE '^default_key +local:alias/kcache +default$' <(kcache policy)
policy "default_key = local:alias/mine" "require = DEVTYPE=file DEVNAME=*.img" "exempt = DEVNAME=*/free.img"
mkdir "$KCACHE_CONFIG.d"
printf '%s\n' 'forbid_plaintext = no' 'require = DEVNAME=*.raw' >"$KCACHE_CONFIG.d/10-more.conf"
printf '%s\n' 'default_key = local:alias/later' >"$KCACHE_CONFIG.d/20-later.conf"
chmod 644 "$KCACHE_CONFIG.d"/*
kcache policy >"$work/policy"
check "a rule is shown with where it stands" grep -qE "^require +DEVTYPE=file DEVNAME=\*\.img +$KCACHE_CONFIG:6$" "$work/policy"
check "one of a drop-in too" grep -qE "^require +DEVNAME=\*\.raw +$KCACHE_CONFIG.d/10-more.conf:2$" "$work/policy"
check "what a later file sets is in force" grep -qE "^default_key +local:alias/later +$KCACHE_CONFIG.d/20-later.conf:1$" "$work/policy"
check "as JSON" json <(kcache policy --json) \
	'j["default_key"] == "local:alias/later" and not j["forbid_plaintext"] and [x["rule"] for x in j["rules"]] == ["require", "exempt", "require"]'
check "without headings" not grep -q '^SETTING' <(kcache policy -n)
chmod 666 "$KCACHE_CONFIG.d/10-more.conf"
check "a drop-in that others may write is refused" expect_exit 2 kcache policy
check "and which" said '10-more.conf may be written by others'
chmod 644 "$KCACHE_CONFIG.d/10-more.conf"
echo 'require = sdb' >"$KCACHE_CONFIG.d/10-more.conf"
check "a rule that is none is an error" expect_exit 1 kcache policy check
check "with its place" said '10-more.conf:1: require is "sdb", not PROPERTY=GLOB words'
rm -r "$KCACHE_CONFIG.d"

# --- what is required to be a volume ----------------------------------------------
policy 'require = DEVTYPE=file DEVNAME=*.img' 'exempt = DEVNAME=*/free.img'
f=$(file fs.img 8M)
mke2fs -q -t ext4 "$f"
check "a filesystem violates" expect_exit 10 kcache policy check "$f"
check "with a line on stdout" grep -qE "^$f +violates +plaintext +it holds ext4" <(kcache policy check "$f" 2>/dev/null)
check "that names the rule" said "require = DEVTYPE=file DEVNAME=\*.img \($KCACHE_CONFIG:5\)"
check "and one line that is the error, with the next step" same "$(kcache policy check "$f" 2>&1 >/dev/null)" \
	"kcache: $f: it must be encrypted: it holds ext4 (a filesystem); make a volume of one (kcache create) and copy its data there, or exempt it in kcache.conf"
check "JSON has it" json <(kcache policy check "$f" --json 2>/dev/null) \
	'j["violating"] == 1 and j["devices"][0]["violates"] and j["devices"][0]["where"].endswith(":5")'
check "the exit code is 10 with JSON too" expect_exit 10 kcache policy check "$f" --json
check "the violation is an audit event" grep -q '"checkPolicy"' "$work/audit.jsonl"
cp "$f" "$work/free.img"
check "one that is exempt does not" same "$(verdict "$work/free.img")" "not covered"
cp "$f" "$work/fs.other"
check "one that no rule is about does not" same "$(verdict "$work/fs.other")" "not covered"
check "several are judged in one run" json <(kcache policy check "$f" "$work/free.img" "$work/fs.other" --json 2>/dev/null) \
	'j["looked_at"] == 3 and j["covered"] == 1 and j["violating"] == 1'
f=$(file swap.img 8M)
mkswap -q "$f" 2>/dev/null || mkswap "$f" >/dev/null
check "swap violates" same "$(verdict "$f")" "violates plaintext"
f=$(file empty.img 8M)
check "an empty one does not" same "$(verdict "$f")" "ok empty"
dd if=/dev/urandom of="$f" bs=64k count=1 conv=notrunc status=none
check "data that nothing explains violates" same "$(verdict "$f")" "violates unknown"
f=$(file parts.img 8M)
echo 'label: gpt' | sfdisk -q "$f"
check "an empty partition table does not violate" same "$(verdict "$f")" "ok empty"
echo 'size=2M' | sfdisk -q "$f"
check "partitions that nobody can look into do" same "$(verdict "$f")" "violates unreadable"
f=$(file luks.img 17M)
echo secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$f" -
check "somebody else's LUKS violates" same "$(verdict "$f")" "violates foreign"
check "for another reason" grep -q 'encrypted, but not by kcache' <(kcache policy check "$f" 2>&1)
f=$(file vol.img 17M)
kcache -q create "$f" >/dev/null
before=$(sha256sum <"$f")
check "a volume does not violate" expect_exit 0 kcache policy check "$f"
check "with --verbose it is listed" grep -qE "^$f +ok +volume +it is kcache volume [0-9a-f-]{36};" <(kcache policy check -v "$f")
check "no word without" same "$(kcache -q policy check "$f")" ""
check "looking at it has written nothing" unchanged "$f" "$before"
cp "$f" "$work/copy.img"
"$tools/../unit/luks2-edit" "$work/copy.img" set /segments/0/encryption '"cipher_null-ecb"'
check "one whose header breaks the rules violates" same "$(verdict "$work/copy.img")" "violates invalid"
cp "$f" "$work/half.img"
cryptsetup token remove --token-id 0 "$work/half.img"
check "a create that did not finish has nothing on it" same "$(verdict "$work/half.img")" "ok empty"

# --- no plaintext -------------------------------------------------------------------
policy 'forbid_plaintext = yes' 'exempt = DEVNAME=*/free.img'
check "forbid_plaintext: a filesystem violates" same "$(verdict "$work/fs.img")" "violates plaintext"
check "and is told so" grep -q "forbid_plaintext = yes ($KCACHE_CONFIG:5)" <(kcache policy check "$work/fs.img" 2>/dev/null)
check "somebody else's LUKS does not" same "$(verdict "$work/luks.img")" "ok foreign"
check "nor data that nothing explains" same "$(verdict "$work/empty.img")" "ok unknown"
check "nor a volume" same "$(verdict "$work/vol.img")" "ok volume"
check "nor what is exempt" same "$(verdict "$work/free.img")" "not covered"

# --- other exit codes ------------------------------------------------------------------
check "what is not there" expect_exit 4 kcache policy check "$work/nothing"
check "is named" said "^kcache: $work/nothing: cannot stat it"
check "neither file nor device" expect_exit 4 kcache policy check "$work"
check "no option of another verb" expect_exit 1 kcache policy check --force
