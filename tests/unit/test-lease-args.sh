#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Leases on plain files: create and rewrap write them under the mac, all recipients agree,
# and what does not go together is refused before anything is touched. What a lease does is
# in tests/integration/kcache-lease.sh and life-revoke.host.sh.
. "$(dirname "$0")/lib-cli.sh"
. "$(dirname "$0")/lib-recipient.sh"

# policy FILE: "on_revoke lease" of each recipient
policy() { kcache dump "$1" --json | jq -r '.recipients[] | .on_revoke + " " + .lease' | paste -sd, ; }

d=$(file vol 20M)
hash=$(sha256sum <"$d")
for bad in "--lease 60" "--on-revoke keep --lease 60" "--on-revoke no" "--on-revoke fail --lease 4" "--on-revoke FAIL" \
	"--lease 0 --on-revoke fail" "--on-revoke fail --lease 4294967296" "--ephemeral x --on-revoke fail" "--ephemeral x --lease 60"; do
	# shellcheck disable=SC2086 # words
	check "create $bad is refused" expect_exit 1 kcache create -q "$d" $bad
	check "and nothing is written" unchanged "$d" "$hash"
done
uuid=$(kcache create -q "$d")
check "without a word there is no lease" same "$(policy "$d")" "keep 0"
for good in "fail 300,--on-revoke fail" "freeze 300,--on-revoke freeze" "fail 60,--on-revoke fail --lease 60" "keep 0,--on-revoke keep"; do
	# shellcheck disable=SC2086 # words
	check "create ${good#*,}" kcache create -q "$(file more 20M)" ${good#*,} --json
	check "is on_revoke and lease ${good%,*}" same "$(policy "$work/more")" "${good%,*}"
	check "under a mac that holds" passes kcache attach -q "$work/more" vol-of-test
done

# --- changed afterwards -------------------------------------------------------
k1=$(recipients "$d")
k2=$(kcache key create --alias two)
kcache -q recipient add "$d" --key "$k2"
# shellcheck disable=SC2119 # it takes options, and needs none here
check "attach says nothing of a lease that is not there" not grep -q 'kcache lease' <(attach 2>&1)
keep two
for bad in "--key $k2 --lease 60" "--from $k1 --lease 60" "--to $k2 --on-revoke fail"; do
	# shellcheck disable=SC2086 # words
	check "rewrap ${bad//$k2/KEY} is refused" refused 1 'it is kcache rewrap DEVICE \[--on-revoke MODE\] \[--lease SECONDS\], without keys' kcache rewrap "$d" $bad
done
check "with --all too" expect_exit 1 kcache rewrap --all --on-revoke fail
check "so is a lease without what its end does" refused 1 'with on_revoke keep there is no lease; say what the end of the lease does' kcache rewrap "$d" --lease 60
check "and a mode that is none" refused 1 "keep, fail or freeze, not \`off'" kcache rewrap "$d" --on-revoke off
check "a dry run says what would be" refused 0 'it would have on_revoke freeze and a lease of 300 seconds; nothing was changed, no KMS was asked' \
	kcache rewrap "$d" --on-revoke freeze --dry-run
kcache key disable "$k1" -q
kcache key disable "$k2" -q
check "without a key that can be used it is refused" refused 7 'is disabled' kcache -q rewrap "$d" --on-revoke fail
kcache key enable "$k2" -q
wrapped() { kcache dump "$1" --json | jq -r '.recipients[] | .key + .wrapped_dek + .created' | sort; }
before=$(wrapped "$d")
check "one recipient that works is enough" expect_exit 0 kcache rewrap "$d" --on-revoke fail --lease 30
check "and it says from when on" said 'it has on_revoke fail and a lease of 30 seconds, in force when it is attached next'
check "recorded as modifyVolume" audited "\"event\":\"modifyVolume\",\"result\":\"succeeded\",\"kind\":\"fail\",\"volume\":\"$uuid\".*\"proven-by\":\"Decrypt\""
kcache key enable "$k1" -q
check "all recipients agree" same "$(policy "$d")" "fail 30,fail 30"
check "with the copies of the key and the dates that they had" same "$(wrapped "$d")" "$before"
for k in "$k1" "$k2"; do check "it attaches under each of them" passes attach --key "$k"; done
check "again there is nothing to do" refused 0 'there is nothing to do: it has on_revoke fail and a lease of 30 seconds' kcache rewrap "$d" --lease 30
check "only the mode" kcache -q rewrap "$d" --on-revoke freeze
check "keeps the time" same "$(policy "$d")" "freeze 30,freeze 30"
check "JSON" expect_exit 0 kcache -q rewrap "$d" --lease 40 --json
check "has what there is" json "$_said" "j['lease'] == '40' and j['on_revoke'] == 'freeze' and j['changed'] and not j['dry_run'] and j['uuid'] == '$uuid'"
check "a recipient that is added has them too" kcache -q recipient add "$d" --key "$(kcache key create)"
check "all three" same "$(policy "$d")" "freeze 40,freeze 40,freeze 40"
check "rewrapping keeps them" kcache -q rewrap "$d" --from "$k1" --key "$(kcache key create)"
check "as they were" same "$(policy "$d")" "freeze 40,freeze 40,freeze 40"
check "keep takes the lease away" kcache -q rewrap "$d" --on-revoke keep
check "from all" same "$(policy "$d")" "keep 0,keep 0,keep 0"

# eight: no room beside them, each is written over
restore two
for ((i = 0; i < 6; i++)); do kcache -q recipient add "$d" --key "$(kcache key create)"; done
check "with eight recipients" kcache -q rewrap "$d" --on-revoke fail
check "all agree" same "$(policy "$d" | tr , '\n' | sort | uniq -c | xargs)" "8 fail 300"

# --- the verb lease -------------------------------------------------------------
check "lease needs a name" expect_exit 1 kcache lease
check "lease refuses what cannot be a name" expect_exit 1 kcache lease a/b
for bad in 0 x -1; do check "--interval $bad is refused" expect_exit 1 kcache lease vol --interval $bad; done
unknown() { local code=0; kcache lease no-such-volume-$$ >"$_said" 2>&1 || code=$?; cat "$_said"; [ $code -eq 2 ] || [ $code -eq 4 ]; }
check "lease of a name that nobody has" unknown
check "is one line, with the name" said "^kcache: no-such-volume-$$: "
