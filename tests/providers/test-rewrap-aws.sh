#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A volume moves between the keystore and AWS KMS, inside AWS, and back, with the command
# and both key helpers as they are. What else there is to rewrap: tests/unit/test-rewrap.sh.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/aws.sh"

# run.sh's
top=${top:?} tools=${tools:?} DIR=${DIR:?}

on_exit fakekms_down
check "the fake KMS runs" fakekms_up || exit 1
aws1=$(aws_key one) aws2=$(aws_key two)
kcache() { "$tools/kcache" -q "$@"; }
keys() { "$tools/kcache" recipient list -n "$d" | awk '{ print $5 }' | paste -sd' '; }
audit=$DIR/log/audit.jsonl
# does COMMAND...: what the KMSs were asked meanwhile is in $asked
does() {
	local before

	before=$(wc -l <"$audit")
	"$@" || return
	asked=$(tail -n +$((before + 1)) "$audit" | grep -oE '"event":"(ReEncrypt|Encrypt|Decrypt)"' | cut -d'"' -f4 | paste -sd' ')
}
# opens: attach gets to the kernel's part, which may not be there
opens() {
	expect_exit 0 kcache attach "$d" rewrap-test --readonly && { kcache detach rewrap-test; return; }
	said 'loop device|device-mapper'
}

d=$DIR/volume
truncate -s 32M "$d"
check "a volume is made under a key of the keystore" kcache create "$d"
local1=$(keys)
check "it is rewrapped to AWS KMS" does kcache rewrap "$d" --key "$aws1"
check "unwrapped here, wrapped there, unwrapped there" same "$asked" "Decrypt Encrypt Decrypt"
check "and is under that key alone" same "$(keys)" "$aws1"
check "and opens" opens
check "from one key of the region to another" does kcache rewrap "$d" --key "$aws2"
check "KMS does it itself" same "$asked" "ReEncrypt Decrypt"
check "and it opens" opens
check "the keystore's key becomes a recipient beside it" kcache recipient add "$d" --key "$local1"
fakekms_down
check "without AWS KMS the volume opens by that" opens
check "and the reason is told" said "warning: recipient 1 of 2 .*$aws2.* is of no use"
check "without AWS KMS its copy is not replaced unproven" expect_exit 6 kcache rewrap "$d" --key "$aws1" --from "$local1" --timeout 3
check "but the keystore's takes its place" kcache rewrap "$d" --key "$local1" --from "$aws2"
check "and is the only one" same "$(keys)" "$local1"
check "which opens" opens
