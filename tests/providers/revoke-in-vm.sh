#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM of tests/integration/life-revoke.host.sh: what a refusal, and silence, do to a
# volume that is written all the time.
# shellcheck source=SCRIPTDIR/vm.sh
. "$(dirname "$0")/vm.sh"

interval=2
word() { dmsetup status vol | tr ' ' '\n' | sed -n "s/^$1://p"; }
is() { [ "$(word key)" = "$1" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
failed() { grep -q ^failed "$STATE/writer"; }
ms() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%d", (b - a) / 1000000 }'; }
# when the KMS had disabled the key, and when the volume's had been wiped: nanoseconds, by the audit log
when() { date +%s%N -d "$(grep "\"event\":\"$1\",\"result\":\"succeeded\"" "$STATE/audit.jsonl" | tail -n 1 | jq -r .time)"; }
disabled() { when DisableKey; }
later() { [ "$(when revokeVolume)" -ge "$at" ]; }
revoked() { wait_for 5 later && when revokeVolume; }
# at_most MS SECONDS: on a kernel that watches itself, that many times longer
at_most() { echo "$1 ms"; awk -v ms="$1" -v s="$(slowly "$2")" 'BEGIN { exit !(ms <= s * 1000) }'; }
at_least() { echo "$1 ms"; [ "$1" -ge $(($2 * 1000)) ]; }
asked() { [ "$(grep -c '"event":"Decrypt"' "$STATE/audit.jsonl")" -gt "$before" ]; }

# up MODE LEASE KEY: a volume, attached, written, its lease kept
up() {
	local seconds=()

	[ "$1" = keep ] || seconds=(--lease "$2")
	loop_device 24M
	kcache create -q "$LOOP" --on-revoke "$1" "${seconds[@]}" --key "$3" >/dev/null &&
		kcache attach -q "$LOOP" vol >/dev/null || return
	"$TESTDIR/direct-writer.py" /dev/mapper/vol "$STATE/writer" &
	writer=$!
	before=$(grep -c '"event":"Decrypt"' "$STATE/audit.jsonl")
	kcache lease vol --interval $interval >"$STATE/lease" 2>&1 &
	lease=$!
	wait_for 10 asked && wait_for 10 grep -q start "$STATE/writer"
}
down() {
	kill "$lease" "$writer" 2>/dev/null
	wait "$lease" "$writer" 2>/dev/null
	kcache detach vol
	cat "$STATE/lease"
}

on_exit fakekms_down
check "the fake KMS runs" fakekms_up
arn=$(kcache key create --provider aws)
local_key=$(kcache key create)

for key in "$local_key" "$arn"; do
	name=${key%%:*}
	[ "$name" != arn ] || name=aws

	# --- fail ---
	check "$name: a volume with on_revoke fail is written" up fail 30 "$key"
	kcache key disable -q "$key"
	at=$(disabled)
	check "$name: with the key disabled writes fail" wait_for 20 failed
	t=$(ms "$at" "$(sed -n 's/^failed //p' "$STATE/writer")")
	echo "# $name: first failed direct write $t ms after disable-key, probe interval $interval s"
	check "$name: within the probe interval and a second" at_most "$t" $((interval + 1))
	wait_for 10 ended "$lease"
	wait "$lease"
	check "$name: the process ends with exit code 9" same $? 9
	kcache key enable -q "$key"
	down >/dev/null

	# --- freeze ---
	check "$name: a volume with on_revoke freeze is written" up freeze 30 "$key"
	kcache key disable -q "$key"
	at=$(disabled)
	check "$name: with the key disabled its key is wiped" wait_for 20 is wiped
	t=$(ms "$at" "$(revoked)")
	echo "# $name: frozen $t ms after disable-key"
	check "$name: within the probe interval and a second" at_most "$t" $((interval + 1))
	sleep 3
	check "$name: writes wait, none fails" not failed
	check "$name: the writer waits" grep -q '^State:.[DS]' "/proc/$writer/status"
	kcache key enable -q "$key"
	check "$name: with the key enabled again it has its key" wait_for 20 is valid
	check "$name: the writer goes on" wait_for 10 grep -q ^slow "$STATE/writer"
	kill "$writer"
	wait "$writer"
	check "$name: and nothing is lost" grep -q '^good' "$STATE/writer"
	check "$name: it was said" grep -q 'the KMS grants its key again: reads and writes go on' "$STATE/lease"
	check "$name: no key of ours is left in a keyring" no_keys
	down >/dev/null

	# --- keep ---
	check "$name: a volume with on_revoke keep is written" up keep 0 "$key"
	kcache key disable -q "$key"
	check "$name: the refusal is told" wait_for 20 grep -q 'on_revoke keep' "$STATE/lease"
	sleep $((2 * interval))
	check "$name: once" same "$(grep -c 'refuses its key' "$STATE/lease")" 1
	check "$name: and it is written still" not failed
	kcache key enable -q "$key"
	check "$name: granted again is told" wait_for 20 grep -q 'grants its key again' "$STATE/lease"
	down >/dev/null
done

# --- a denial counts when it comes twice -------------------------------------------
check "a volume is written" up fail 40 "$arn"
at=$(date +%s%N)
control "{\"fail\": {\"operation\": \"Decrypt\", \"form\": \"denied\"}}"
check "denied, its writes fail" wait_for 60 failed
echo "# aws: first failed direct write $(ms "$at" "$(sed -n 's/^failed //p' "$STATE/writer")") ms after access is denied"
check "after it was asked once more" grep -q 'denies its key: .*asking once more' "$STATE/lease"
control '{"fail": []}'
down >/dev/null

# --- silence ---------------------------------------------------------------------------
check "a volume is written" up fail 20 "$arn"
control '{"fail": {"operation": "*", "form": "internal"}}'
sleep 8
check "errors of the KMS's own are no refusal" is valid
control '{"fail": []}'
check "and it is granted again" wait_for 10 grep -q 'grants its key again' "$STATE/lease"
sleep 14
check "the lease was renewed" is valid
at=$(date +%s%N)
fakekms_down
check "a KMS that is gone uses the lease up" wait_for 40 failed
t=$(ms "$at" "$(sed -n 's/^failed //p' "$STATE/writer")")
echo "# aws: silence, lease 20 s: first failed direct write after $t ms"
check "not before the lease is over" at_least "$t" $((20 - interval - 2))
check "and not after" at_most "$t" 21
check "the journal says which" wait_for 10 grep -q 'its lease has run out: reads and writes fail' "$STATE/lease"
down
