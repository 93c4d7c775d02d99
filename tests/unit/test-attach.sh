#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# attach on plain files: every edit of token and header, the pins, the KMS. All of
# it is refused before a device is mapped, so that no device-mapper is needed. What
# only a kernel shows is in tests/integration/kcache-attach.sh.
# alone: asks that no key of ours is left in the keyrings of this machine
#
# shellcheck disable=SC2016 # for a shell in the shell
. "$(dirname "$0")/lib-cli.sh"
PATH=${KC_TOOLS:-$top/build/tools}/../unit:$PATH

d=$(file vol 17M)
uuid=$(kcache -q create "$d") || fail "create makes a volume"
good=$work/good
head -c 1M "$d" >"$good"
known=$work/state/volumes/$uuid.json
cp "$known" "$work/known"
# the volume as it was made, and what this host knew of it then
reset() {
	dd if="$good" of="$d" conv=notrunc status=none
	cp "$work/known" "$known"
}
attach() { kcache attach -q "$d" vol-of-test "$@"; }

# refused CODE REGEX FILE COMMAND...: COMMAND exits with CODE (or one of CODE|CODE),
# says REGEX in one line, writes nothing to FILE, and leaves no key
refused() {
	local codes=$1 regex=$2 f=$3 before code=0 said
	shift 3

	before=$(sha256sum <"$f")
	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	[[ "|$codes|" = *"|$code|"* ]] || { echo "exit code $code, not $codes"; return 1; }
	said=$(grep -v 'warning: ' "$_said")
	[[ $said != *$'\n'* ]] || { echo "more than one line"; return 1; }
	[[ $said =~ $regex ]] || { echo "does not say: $regex"; return 1; }
	unchanged "$f" "$before" || return 1
	! grep "kcache:" /proc/keys 2>/dev/null
}

# Past header, pins, KMS and digest: what is left is the kernel's part, which may
# not be there, or not be permitted.
passes() {
	local code=0

	"$@" >"$_said" 2>&1 || code=$?
	cat "$_said"
	[ $code -ne 0 ] || kcache detach vol-of-test
	[ $code -eq 0 ] || grep -qE 'loop device|device-mapper' "$_said"
}

check "the volume as it was made gets to the kernel" passes attach
check "a blank file" refused 4 '^kcache: vol-of-test \(.*: there is no LUKS2 header' "$good" kcache attach "$(file blank 17M)" vol-of-test
check "a missing device" refused 4 'No such file' "$good" kcache attach "$work/none" vol-of-test
cryptsetup token remove --token-id 0 "$d"
check "a create that did not finish" refused 4 'creation did not finish.*; run kcache create on it again' "$d" attach
reset

# --- the token, member by member ------------------------------------------------
t=/tokens/0
other='"local:00000000-0000-4000-8000-000000000000"'
hex32='"00000000000000000000000000000000"'
hex64='"0000000000000000000000000000000000000000000000000000000000000000"'
wrapped=$(luks2-edit "$d" print $t/wrapped_dek | tr -d '"\n')
case ${wrapped:40:1} in A) c=B ;; *) c=A ;; esac
edits=(
	"type|8|\"somebody\""
	"keyslots|8|[\"1\"]"
	"keyslots|8|[]"
	"version|8|2"
	"version|8|\"1\""
	"provider|8|\"aws\""
	"provider|8|\"\""
	"key|8|$other"
	"key|8|\"local:alias/kcache\""
	"wrapped_dek|8|\"${wrapped:0:40}$c${wrapped:41}\""
	"wrapped_dek|8|\"${wrapped:0:40}\""
	"wrapped_dek|8|\"\""
	"wrapped_dek|8|\"not base64!\""
	"context|8|{}"
	"context/kcache:id|8|\"00000000-0000-4000-8000-000000000000\""
	"context/kcache:layout|8|$hex64"
	"context/kcache:generation|8|\"2\""
	"context/kcache:generation|8|\"0\""
	"context/kcache:generation|8|1"
	"context/more|8|\"x\""
	"lineage|8|$hex32"
	"lineage|8|\"\""
	"created|8|\"2001-01-01T00:00:00Z\""
	"created|8|\"yesterday\""
	"lease|8|3600"
	"lease|8|-1"
	"on_revoke|8|\"fail\""
	"on_revoke|8|\"explode\""
	"mac|8|$hex64"
	"mac|8|\"\""
	"comment|8|\"hello\""
)
for e in "${edits[@]}"; do
	IFS='|' read -r member code value <<<"$e"
	luks2-edit "$d" set "$t/$member" "$value"
	check "the token with $member set to ${value:0:40}" refused "$code" . "$d" attach
	reset
done
cryptsetup luksKillSlot -q "$d" 0
check "without keyslot and without mention of it the volume is whole: that is the way out, no part of the DEK's protection" passes attach
reset
for member in version provider key wrapped_dek context context/kcache:id context/kcache:layout \
	context/kcache:generation lineage created lease on_revoke mac; do
	luks2-edit "$d" del "$t/$member"
	check "the token without $member" refused 8 . "$d" attach
	reset
done

# --- the header -----------------------------------------------------------------
sha1_digest=$(luks2-edit "$d" print /digests/0/digest | tr -d '"\n')
case ${sha1_digest:3:1} in A) c=B ;; *) c=A ;; esac
segment=$(luks2-edit "$d" print /segments/0)
edits=(
	"/segments/0/encryption|\"aes-cbc-essiv:sha256\""
	"/segments/0/encryption|\"aes-xts-plain\""
	"/segments/0/encryption|\"cipher_null-ecb\""
	"/segments/0/encryption|\"serpent-xts-plain64\""
	"/segments/0/offset|\"16781312\""
	"/segments/0/offset|\"1048576\""
	"/segments/0/sector_size|512"
	"/segments/0/iv_tweak|\"8\""
	"/segments/0/size|\"524288\""
	"/segments/0/type|\"linear\""
	"/segments/0/integrity|{\"type\":\"hmac(sha256)\",\"journal_encryption\":\"none\",\"journal_integrity\":\"none\"}"
	"/segments/0/flags|[\"in-reencryption\"]"
	"/segments/0/flags|[\"backup-final\"]"
	"/segments/0/unknown|1"
	"/segments/1|$segment"
	"/config/requirements|{\"mandatory\":[\"something-new\"]}"
	"/config/requirements|{\"mandatory\":[\"online-reencrypt-v2\"]}"
	"/config/flags|[\"allow-discards\"]"
	"/config/flags|[\"no-journal\"]"
	"/digests/0/iterations|2000000000"
	"/digests/0/hash|\"whirlpool\""
	"/digests/0/digest|\"${sha1_digest:0:3}$c${sha1_digest:4}\""
	"/keyslots/0/key_size|32"
)
for e in "${edits[@]}"; do
	luks2-edit "$d" set "${e%%|*}" "${e#*|}"
	check "the header with ${e%%|*} set to $(tr -d '\n' <<<"${e#*|}" | head -c 40)" refused '8|4' . "$d" attach
	reset
done
luks2-edit "$d" uuid 00000000-0000-4000-8000-000000000000
check "the header with another UUID" refused 8 . "$d" attach
reset


check "after all this the volume is, byte for byte, as it was" cmp -n 1M "$good" "$d"

# --- other volumes ----------------------------------------------------------------
d2=$(file two 17M)
kcache -q create "$d2" >"$work/uuid2"
luks2-edit "$d" set $t "$(luks2-edit "$d2" print $t)"
check "the token of another volume" refused 8 . "$d" attach
reset
luks2-edit "$d" set /tokens/1 "$(luks2-edit "$d2" print $t)"
check "the token of another volume beside its own is of no use and no harm" passes attach
reset

# edit MEMBER JSON FILE: the file's JSON object with a member changed
edit() {
	/usr/bin/python3 -c 'import json,sys
j = json.load(open(sys.argv[3]))
assert sys.argv[1] in j
j[sys.argv[1]] = json.loads(sys.argv[2])
json.dump(j, sys.stdout)' "$@"
}

# --- pins ---------------------------------------------------------------------------------
edit generation '"5"' "$work/known" >"$known"
check "a generation older than this host has seen" refused 8 '[Gg]eneration' "$d" attach
check "also with its key named" refused 8 '[Gg]eneration' "$d" attach --key "$(/usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["keys"][0])' "$work/known")"
reset
edit lineage "$hex32" "$work/known" >"$known"
check "another lineage than this host has seen" refused 8 . "$d" attach
reset
rm "$known"
key=$(/usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["keys"][0])' "$work/known")
check "a key that this host does not pin" refused 8 "$key" "$d" attach
check "nor by naming another" refused '7|8' . "$d" attach --key local:alias/nobody
echo 'allow_key = local:00000000-0000-4000-8000-000000000000' >>"$KCACHE_CONFIG"
check "nor by allowing another" refused 8 "$key" "$d" attach
sed -i '$d' "$KCACHE_CONFIG"
echo "allow_key = $key" >>"$KCACHE_CONFIG"
check "a key that the configuration allows is used" passes attach
sed -i '$d' "$KCACHE_CONFIG"
rm -f "$known"
check "a key that is named is used" passes attach --key "$key"
rm -f "$known"
check "an alias that is named is used" passes attach --key local:alias/kcache
reset
check "naming a key that is no recipient is refused" refused 8 'no recipient under key' "$d" attach \
	--key "$(kcache key create -q)"

# --- the KMS ---------------------------------------------------------------------------------
kcache key disable "$key" -q
check "a disabled key" refused 7 '(DisabledException|disabled)' "$d" attach
kcache key enable "$key" -q
check "an enabled one is used again" passes attach
mv "$work/state/keystore.db" "$work/away.db"
check "a key that is gone" refused 7 "$key" "$d" attach
rm -f "$work/state/keystore.db"
mv "$work/away.db" "$work/state/keystore.db"
sed "s,^helper.*,helper = $work/nohelper," "$KCACHE_CONFIG" >"$work/nohelper.conf"
chmod 600 "$work/nohelper.conf"
check "no key helper" refused 1 'key helper' "$d" attach --config "$work/nohelper.conf"
printf '#!/bin/sh\nexec sleep 1000.%s\n' $$ >"$work/slow"
chmod 755 "$work/slow"
sed "s,^helper.*,helper = $work/slow," "$KCACHE_CONFIG" >"$work/slow.conf"
chmod 600 "$work/slow.conf"
check "a key helper that does not answer in time may be tried again" refused 6 'seconds' "$d" attach --config "$work/slow.conf" --timeout 2
interrupted() {
	local pid code=0

	# what a script starts in the background ignores SIGINT, and under nohup SIGHUP
	env --default-signal=INT,TERM,HUP "$tools/kcache" attach -q "$d" vol-of-test --config "$work/slow.conf" --timeout 60 &
	pid=$!
	wait_for 10 pgrep -f "sleep 1000.$$"
	kill -"$1" "$pid"
	{ wait "$pid" || code=$?; } 2>/dev/null
	return $code
}
for s in INT:130 TERM:143 HUP:129; do
	check "SIG${s%:*} while the KMS is waited for ends it" refused "${s#*:}" 'interrupted by signal' "$d" interrupted "${s%:*}"
	check "and its key helper" wait_for 3 not pgrep -f "sleep 1000.$$"
done

# --- several recipients ------------------------------------------------------------------------
arn=arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-4333-8444-555555555555
# two tokens, 0 under a key of AWS whose helper is $work/keys-aws, 1 as it was made
ln -s "$(realpath "$tools/kcache-keyhelper")" "$work/keys"
sed "s,^helper.*,helper = $work/keys," "$KCACHE_CONFIG" >"$work/two.conf"
echo "allow_key = $arn" >>"$work/two.conf"
chmod 600 "$work/two.conf"
two() {
	luks2-edit "$d" set /tokens/1 "$(luks2-edit "$d" print $t)"
	luks2-edit "$d" set $t/provider '"aws"'
	luks2-edit "$d" set $t/key "\"$arn\""
}
two
# told SECONDS COMMAND...: passes in less than SECONDS, and says what was wrong with the first recipient
told() {
	local from=$SECONDS limit=$1
	shift
	passes "$@" && [ $((SECONDS - from)) -lt "$limit" ] && said "warning: recipient 1 of 2 \(token 0, key $arn\) is of no use: "
}
check "a recipient whose provider is not here does not keep the next from being asked, and is told" told 10 attach --config "$work/two.conf"
check "with the reason" said 'built without provider "aws".*; install its key helper'
cp "$work/slow" "$work/keys-aws"
check "one that hangs leaves the others their share of the time" told 5 attach --config "$work/two.conf" --timeout 4
check "and not one second more" said 'did not answer within 2 seconds'
# failing CODE REGEX [OPTION...]: no recipient works; the last line says REGEX, each is told before it
failing() {
	local code=$1 regex=$2
	shift 2
	expect_exit "$code" attach --config "$work/two.conf" "$@" || return
	same "$(grep -c 'warning: recipient [12] of 2 ' "$_said")" 2 || return
	tail -n 1 "$_said" | grep -E -- "none of its recipients works \(each is told above\), among them: .*$regex"
}
kcache key disable "$key" -q
check "one may be tried again, one not: 6" failing 6 'did not answer' --timeout 2
luks2-edit "$d" set /tokens/2 "$(luks2-edit "$d" print $t)"
luks2-edit "$d" del $t
check "also where that one is the second" failing 6 'did not answer' --timeout 2
rm "$work/keys-aws"
check "none may be tried again: what the first said" failing 7 DisabledException
luks2-edit "$d" set $t "$(luks2-edit "$d" print /tokens/2)"
luks2-edit "$d" del /tokens/2
check "also where they stand the other way" failing 1 'built without provider'
check "a recipient that is named is asked, and no other" refused 7 DisabledException "$d" attach --config "$work/two.conf" --key "$key"
kcache key enable "$key" -q
check "and works alone" passes attach --config "$work/two.conf" --key "$key"
luks2-edit "$d" set /tokens/1/context/kcache:generation '"2"'
check "recipients of two generations are no volume" refused 8 'of different generations' "$d" attach --config "$work/two.conf"
reset

check "at the end the volume is, byte for byte, as it was" cmp -n 1M "$good" "$d"
check "and gets to the kernel" passes attach
