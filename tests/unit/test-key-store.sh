#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kcache key backup, restore, seal, unseal: the local keystore as a whole.
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"

# out PYTHON COMMAND...: an expression over j, what COMMAND prints as JSON
out() {
	"${@:2}" >"$work/out.json" && /usr/bin/python3 -c 'import json, sys
j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$work/out.json" "$1"
}
# opens VOLUME: its key is unwrapped, and only the kernel is missing
opens() {
	local code=0
	kcache -q attach "$1" unit-key-store >"$_said" 2>&1 || code=$?
	kcache -q detach unit-key-store
	cat "$_said"
	[ $code -eq 0 ] || grep -qE 'loop device|device-mapper' "$_said"
}
# another host: nothing of this keystore, but its volumes are known
elsewhere() {
	rm -rf "$work/away" && mkdir -m 700 "$work/away" && mv "$work"/state/keystore.* "$work/away/"
}
back() { rm -f "$work"/state/keystore.* && mv "$work"/away/keystore.* "$work/state/"; }
configured() { sed -i '/^keystore_seal/d' "$work/kcache.conf" && [ $# -eq 0 ] || echo "keystore_seal = $1" >>"$work/kcache.conf"; }
in_files() { /usr/bin/python3 -c 'import sys
want = open(sys.argv[1], "rb").read()
sys.exit(0 if any(want in open(f, "rb").read() for f in sys.argv[2:]) else 1)' "$@"; }
as_json() { kcache key list --json; }

v=$(file vol 20M)
check "a volume under the default key" expect_exit 0 kcache -q create "$v"
tail -c 32 "$work/state/keystore.key" >"$work/root"

# --- backup and restore --------------------------------------------------------
echo 'a passphrase of some length' >"$work/pass"
printf 'a passphrase of some length' >"$work/same"
echo 'another' >"$work/wrong"
check "a backup" expect_exit 0 kcache key backup "$work/backup" --passphrase-file "$work/pass"
check "says where" said "the keystore is in $work/backup"
check "is its owner's alone" same "$(stat -c %a "$work/backup")" 600
check "and shows no root key" not in_files "$work/root" "$work/backup"
check "nor a key's id" not grep -qa "$(out 'j["keys"][0]["key"][6:]' as_json)" "$work/backup"
check "an existing file is not overwritten" expect_exit 5 kcache key backup "$work/backup" --passphrase-file "$work/pass"
check "an empty passphrase is none" expect_exit 1 kcache key backup "$work/none" --passphrase-file /dev/null
check "nor is one of 1025 bytes" bash -c 'head -c 1025 /dev/zero | tr "\0" x | "$0" key backup "$1" --passphrase-file -; [ $? -eq 1 ]' \
	"$tools/kcache" "$work/none"
check "without a terminal or a file there is none" bash -c 'setsid "$0" key backup "$1" </dev/null; [ $? -eq 2 ]' "$tools/kcache" "$work/none"
check "nothing is left of those" not test -e "$work/none"
check "a keystore that is there is not replaced" expect_exit 5 kcache key restore "$work/backup" --passphrase-file "$work/pass"
check "and says what to do" said 'there is a keystore in .*; move its keystore.db and keystore.key away'
check "a file that is no backup is not restored" expect_exit 1 kcache key restore "$work/root" --passphrase-file "$work/pass"
elsewhere
check "on another host the volume is refused" expect_exit 7 kcache attach "$v" x
check "a wrong passphrase is 2" expect_exit 2 kcache key restore "$work/backup" --passphrase-file "$work/wrong"
check "and leaves nothing" not test -e "$work/state/keystore.key"
cp "$work/backup" "$work/altered"
printf x | dd of="$work/altered" bs=1 seek=2000 conv=notrunc status=none
check "so is a backup that was altered" expect_exit 2 kcache key restore "$work/altered" --passphrase-file "$work/pass"
printf '\x1f' | dd of="$work/altered" bs=1 seek=16 conv=notrunc status=none
check "one that asks for a terabyte of memory is 8" expect_exit 8 kcache key restore "$work/altered" --passphrase-file "$work/pass"
check "the right one, from standard input, without its line feed" bash -c '"$0" key restore "$1" --passphrase-file - <"$2"' \
	"$tools/kcache" "$work/backup" "$work/same"
check "brings the keystore back" opens "$v"
check "with the same permissions" same "$(stat -c %a "$work"/state/keystore.{db,key} | paste -sd' ')" "600 600"
cmp -s "$work/state/keystore.key" "$work/away/keystore.key" || fail "the root key is the same"

# --- the restore is cut off after the root key ---------------------------------------
rm -f "$work"/state/keystore.db*
check "a restore that was cut off is done again" expect_exit 0 kcache -q key restore "$work/backup" --passphrase-file "$work/pass"
check "and the volume opens" opens "$v"
back

# --- seal -----------------------------------------------------------------------
check "it is not sealed" same "$(out 'j["sealed"]' as_json)" none
check "and says so to people" grep -q '^Root key:    not sealed' <<<"$(kcache key describe alias/kcache)"
check "there has to be something to seal it with" expect_exit 1 kcache key seal
check "which is said" said 'set keystore_seal = file:/PATH or credential:NAME'
openssl rand -base64 32 >"$work/seal"
chmod 644 "$work/seal"
configured "file:$work/seal"
check "a file that others may read is refused" expect_exit 2 kcache key seal
check "and says why" said 'may be read by others'
chmod 600 "$work/seal"
check "it is sealed" expect_exit 0 kcache key seal
check "with what" said 'sealed with a file; lose that, and every key is lost'
check "which list tells" same "$(out 'j["sealed"]' as_json)" file
check "and describe" same "$(out 'j["sealed"]' kcache key describe alias/kcache --json)" file
check "the root key is in no file" not in_files "$work/root" "$work"/state/keystore.*
check "the volume opens" opens "$v"
mv "$work/seal" "$work/gone"
check "without the file the keystore is shut" expect_exit 2 kcache key list
check "and says so" said "cannot read $work/seal"
openssl rand -base64 32 >"$work/seal"
chmod 600 "$work/seal"
check "with another one too" expect_exit 2 kcache attach "$v" x
check "and says so" said 'does not open with file:'
mv "$work/gone" "$work/seal"
configured
check "a sealed keystore with no seal configured is 2" expect_exit 2 kcache key list
check "with the next step" said 'set keystore_seal in kcache.conf'
configured "credential:kcache"
check "a credential is in a service alone" expect_exit 2 kcache key list
check "which is said" said 'there are no credentials here'
mkdir "$work/credentials"
cp "$work/seal" "$work/credentials/kcache"
check "the same as a credential opens it" env CREDENTIALS_DIRECTORY="$work/credentials" "$tools/kcache" key list
check "and list tells that" same "$(CREDENTIALS_DIRECTORY=$work/credentials out 'j["sealed"]' as_json)" credential
configured "file:$work/seal"
check "a backup of a sealed keystore" expect_exit 0 kcache -q key backup "$work/backup2" --passphrase-file "$work/pass"
elsewhere
check "is restored sealed" expect_exit 0 kcache -q key restore "$work/backup2" --passphrase-file "$work/pass"
check "where that is configured" same "$(out 'j["sealed"]' as_json)" file
check "and the volume opens" opens "$v"
check "it is unsealed" expect_exit 0 kcache key unseal
check "as list tells" same "$(out 'j["sealed"]' as_json)" none
configured
check "and opens without" opens "$v"

# --- sealed from the start -------------------------------------------------------------
rm -f "$work"/state/keystore.*
configured "file:$work/seal"
check "a new keystore is sealed from the start" expect_exit 0 kcache key create
check "as its first bytes say" grep -qa '^kcache-root-key 2$' "$work/state/keystore.key"
for value in none file:relative file: credential: credential:a/b credential:.. /path; do
	configured "$value"
	check "keystore_seal = $value is bad" expect_exit 1 kcache key list
done
