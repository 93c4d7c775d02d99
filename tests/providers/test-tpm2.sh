#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What only a TPM does: PCRs change, it is another one or was cleared, it is full, it is
# locked; and what it must never be left with, or its bus show.
# shellcheck disable=SC2154,SC2016 # run.sh exports $DIR, $top; check eval expands later
set -u

# shellcheck source=SCRIPTDIR/../integration/lib.sh
. "$top/tests/integration/lib.sh"
# shellcheck source=SCRIPTDIR/swtpm.sh
. "$top/tests/providers/swtpm.sh"

port=$(tpm_port)
other=$(tpm_port)
echo "tpm2_tcti = swtpm:host=127.0.0.1,port=$port" >>"$DIR/kcache.conf"
export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=$port
kms=$top/build/providers/kms
blob=$DIR/blob

for t in no-tpm tpm other; do on_exit tpm_stop "$t"; done

kms() { timeout 60 "$kms" "$@"; }
tpm2() { timeout 20 "tpm2_$1" "${@:2}"; }
extend() { tpm2 pcrextend "$1:sha256=$(printf 'x%.0s' {1..64} | tr x "$2")"; }
nothing_held() { same "$(tpm_held "$port")" ""; }
restart() { tpm_stop no-tpm; tpm_stop tpm; tpm_start tpm "$port"; }

# --- names ----------------------------------------------------------------------

if ! { tpm_make tpm && tpm_start tpm "$port"; }; then
	fail "a software TPM starts"
	exit 1
fi

named() { same "$(kms describe "$1" | head -n 1)" "$2"; }
check "PCRs come in any order, and are named in one" named tpm2:pcrs=15+7 tpm2:pcrs=7+15
check "the usual bank need not be named" named tpm2:bank=sha256,pcrs=7 tpm2:pcrs=7
check "another bank is part of the name" named tpm2:pcrs=4,bank=sha1 tpm2:bank=sha1,pcrs=4
check "no PCRs: this TPM alone" named tpm2: tpm2:pcrs=none
for bad in pcrs=24 pcrs=7+7 pcrs=07 pcrs= "pcrs=7," bank=md5,pcrs=7 pcrs=-1 pcrs=7,pcrs=8 bank=sha256 pcr=7; do
	check "tpm2:$bad is no name of a key" expect_exit 1 kms describe "tpm2:$bad"
done
check "a name in a token that is not canonical is refused" expect_exit 1 kms unwrap tpm2:pcrs=15+7 /dev/null

# --- PCRs -------------------------------------------------------------------------

for key in tpm2:pcrs=7+15 tpm2:pcrs=none tpm2:bank=sha1,pcrs=15 \
	tpm2:pcrs=0+1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17+18+19+20+21+22+23; do
	check "sealed to ${key#*:} and unsealed" kms wrap "$key" "$blob.${key##*=}"
	check "and the same came back" kms unwrap "$key" "$blob.${key##*=}"
	check "nothing is left in the TPM" nothing_held
done
check "a PCR changes" extend 15 a
check "what it was sealed to is refused, exit 7" expect_exit 7 kms unwrap tpm2:pcrs=7+15 "$blob.7+15"
check "by the TPM's own name for it" said '^TPM_RC_POLICY_FAIL: '
check "with the PCR that differs" said 'PCR 15 \(system identity\)'
check "and none that does not" not said 'PCR 7|PCR .*7 \(Secure'
check "what is sealed to no PCR opens" kms unwrap tpm2:pcrs=none "$blob.none"
check "it is sealed anew to the values of now" kms rewrap tpm2:pcrs=none "$blob.none" tpm2:pcrs=7+15 "$blob.new"
check "and opens" kms unwrap tpm2:pcrs=7+15 "$blob.new"
check "two PCRs change" eval 'extend 7 b && extend 15 c'
check "both are named" eval 'expect_exit 7 kms unwrap tpm2:pcrs=7+15 "$blob.new"; said "PCR 7 \(Secure Boot state\), 15"'
check "a refusal leaves nothing in the TPM" nothing_held
check "another bank's PCR was not touched" kms unwrap tpm2:bank=sha1,pcrs=15 "$blob.15"

# nothing of a blob is just the disk's word
edited() { # OFFSET: exit 8
	local byte

	byte=$(od -An -tu1 -j "$1" -N 1 "$blob.none")
	cp "$blob.none" "$blob.edited"
	printf '%b' "\\x$(printf %x $((byte ^ 0x51)))" | dd of="$blob.edited" bs=1 seek="$1" conv=notrunc status=none
	not cmp -s "$blob.none" "$blob.edited" && expect_exit 8 kms unwrap tpm2:pcrs=none "$blob.edited"
}
check "rebooted" restart
check "every PCR is as it was" kms unwrap tpm2:pcrs=7+15 "$blob.7+15"
length=$(stat -c %s "$blob.none")
every_byte() {
	local i

	for ((i = 0; i < length; i += 3)); do
		edited "$i" >/dev/null || { echo "byte $i"; return 1; }
	done
}
check "any changed byte is exit 8" every_byte
check "those leave nothing in the TPM" nothing_held

# --- which TPM --------------------------------------------------------------------

tpm_make other && tpm_start other "$other"
on_other() { tpm_stop tpm; tpm_stop other; tpm_start other "$port"; }
check "the disk is brought to another host" on_other
check "its TPM is another: exit 8" expect_exit 8 kms unwrap tpm2:pcrs=none "$blob.none"
check "which is said" said 'sealed by another TPM, or this one was cleared'
check "nothing is left in that one" nothing_held
tpm_stop other
check "back at the first" eval 'restart && kms unwrap tpm2:pcrs=none "$blob.none"'

srk() { # a storage key at the usual place, of a kind
	tpm2 createprimary -Q -C o -G "$1" -c "$DIR/srk.ctx" && tpm2 evictcontrol -Q -C o -c "$DIR/srk.ctx" 0x81000001 &&
		tpm2 flushcontext -Q -t
}
check "a storage key (RSA) is persisted" srk rsa2048
check "what was sealed before opens" kms unwrap tpm2:pcrs=none "$blob.none"
check "it seals under that one" kms wrap tpm2:pcrs=7 "$blob.srk"
check "and unseals" kms unwrap tpm2:pcrs=7 "$blob.srk"
check "nothing else is left" nothing_held
check "the owner gets a password" tpm2 changeauth -Q -c owner secret
check "the storage key serves all the same" kms unwrap tpm2:pcrs=7 "$blob.srk"
check "it is evicted" tpm2 evictcontrol -Q -C o -P secret -c 0x81000001
check "without it the password is in the way: exit 2" expect_exit 2 kms unwrap tpm2:pcrs=7 "$blob.srk"
check "which is said" said '^TPM_RC_(BAD_AUTH|AUTH_FAIL): .*has a password'
check "the TPM is cleared" tpm2 clear -Q
check "what it sealed is lost: exit 8" expect_exit 8 kms unwrap tpm2:pcrs=none "$blob.none"

# --- trouble ------------------------------------------------------------------------

check "it seals" kms wrap tpm2:pcrs=7 "$blob"
fill() { local i; for i in 1 2 3; do tpm2 createprimary -Q -C o -G ecc -c "$DIR/$i.ctx" || return; done; }
check "another program fills the TPM" fill
check "that is exit 6" expect_exit 6 kms unwrap tpm2:pcrs=7 "$blob"
check "by its name" said '^TPM_RC_OBJECT_MEMORY: '
check "when it is gone the key opens" eval 'tpm2 flushcontext -Q -t && kms unwrap tpm2:pcrs=7 "$blob"'

# CODE EXIT TEXT: an answer of a TPM
while read -r code exit text; do
	tpm_stop tpm
	tpm_stop no-tpm
	no_tpm "$port" "rc:$code"
	check "$text ($code) is exit $exit" expect_exit "$exit" kms unwrap tpm2:pcrs=7 "$blob"
	check "with a name, a sentence and a next step" said "^TPM_RC_[A-Z0-9_x]+: .+ \\(.+\\)$"
done <<'EOR'
0x921 7 locked
0x922 6 busy
0x100 6 not started
0x101 6 failure mode
0x185 6 no owner hierarchy
0x903 6 full of sessions
0x143 6 a command it has not
EOR
tpm_stop no-tpm
no_tpm "$port" long
check "an answer of 4 GiB is exit 6" expect_exit 6 kms unwrap tpm2:pcrs=7 "$blob"

tpm_stop no-tpm
tpm_start tpm "$other"
no_tpm "$port" "relay:$other:$DIR/bus"
check "with somebody at the bus it is sealed" kms wrap tpm2:pcrs=7 "$blob"
check "and unsealed" kms unwrap tpm2:pcrs=7 "$blob"
seen() { [ "$(stat -c %s "$DIR/bus")" -gt 2000 ] || { echo "the bus was not watched"; return 1; }; }
check "the bus was seen" seen
in_bus() { grep -qaF "$(kms dek | tail -c 40)" "$DIR/bus"; }
check "and showed no key" not in_bus
tpm_stop no-tpm

with_tcti() { # TCTI COMMAND...
	sed "s|^tpm2_tcti = .*|tpm2_tcti = $1|" "$KCACHE_CONFIG" >"$DIR/tcti.conf"
	chmod 600 "$DIR/tcti.conf"
	KCACHE_CONFIG=$DIR/tcti.conf "${@:2}"
}
check "a TCTI that runs a program is refused" expect_exit 1 with_tcti cmd:sh kms describe tpm2:pcrs=7
check "a device that is not there is exit 6" expect_exit 6 with_tcti device:/dev/no-tpm kms describe tpm2:pcrs=7
