# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests of a volume's recipients start with, after lib-cli.sh: volumes that can be put
# back, keys of the local keystore and of a provider "aws" (fake-keyhelper.py).
#
# shellcheck disable=SC2154,SC2034 # work and top are lib-cli.sh's; the ARNs are for the test
PATH=${KC_TOOLS:-$top/build/tools}/../unit:$PATH
ln -s "$(realpath "$tools/kcache-keyhelper")" "$work/keys"
cp fake-keyhelper.py "$work/keys-aws"
chmod 755 "$work/keys-aws"
sed -i "s,^helper.*,helper = $work/keys," "$KCACHE_CONFIG"
# mode [WORD...]: what fake-keyhelper.py does from here on
mode() { printf '%s\n' "$@" >"$work/keys-aws.mode"; }

arn() { echo "arn:aws:kms:$1:111122223333:key/$2"; }
eu=$(arn eu-central-1 11111111-2222-4333-8444-555555555555)
eu2=$(arn eu-central-1 22222222-2222-4333-8444-555555555555)
us=$(arn us-east-1 33333333-2222-4333-8444-555555555555)
mrk_eu=$(arn eu-central-1 mrk-11112222333344445555666677778888)
mrk_us=$(arn us-east-1 mrk-11112222333344445555666677778888)

# recipients FILE: the keys, in order of their tokens
recipients() { kcache recipient list -n "$1" | awk '{ print $5 }' | paste -sd' '; }
# known: the keys that this host accepts for $uuid
known() {
	/usr/bin/python3 -c 'import json,sys; print(*sorted(json.load(open(sys.argv[1]))["keys"]))' "$work/state/volumes/$uuid.json"
}
# sorted KEY...: each may be several
sorted() { printf '%s\n' "$@" | tr ' ' '\n' | sort | paste -sd' '; }
# keep NAME / restore NAME: the volume $d and what is known of it
keep() { cp --sparse=always "$d" "$work/$1.img" && cp "$work/state/volumes/$uuid.json" "$work/$1.known"; }
restore() { cp --sparse=always "$work/$1.img" "$d" && cp "$work/$1.known" "$work/state/volumes/$uuid.json"; }

# refused CODE REGEX COMMAND...: exits with CODE, says REGEX in its last line, and changes nothing on $d
refused() {
	local code=$1 regex=$2 before
	shift 2

	before=$(sha256sum <"$d")
	expect_exit "$code" "$@" || return
	tail -n 1 "$_said" | grep -E -- "$regex" || { echo "does not say: $regex"; return 1; }
	unchanged "$d" "$before"
}
# passes COMMAND...: attach gets to the kernel's part, which may not be there
passes() {
	local code=0

	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	[ $code -ne 0 ] || kcache detach vol-of-test
	[ $code -eq 0 ] || grep -qE 'loop device|device-mapper' "$_said"
}
attach() { kcache attach -q "$d" vol-of-test "$@"; }
# audited REGEX: the last event
audited() { tail -n 1 "$work/audit.jsonl" | grep -E -- "$1"; }
# asked: what the KMSs were asked since ask_anew, in order
asked() {
	tail -n +"$((_asked + 1))" "$work/audit.jsonl" | grep -oE '"event":"(ReEncrypt|Encrypt|Decrypt)"' | cut -d'"' -f4 | paste -sd' '
}
ask_anew() { _asked=$(wc -l <"$work/audit.jsonl"); }
