# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # $DIR is run.sh's
#
# SoftHSM tokens below $DIR: softhsm_up makes one labelled kv, with AES keys kek1 and
# kek2, and tells kcache.conf about it. softhsm_token LABEL PIN, softhsm_key LABEL PIN
# KEY ID [BYTES] make more. It has no process: what stops is its folder, renamed.

SOFTHSM=/usr/lib/softhsm/libsofthsm2.so

softhsm_token() {
	softhsm2-util --init-token --free --label "$1" --so-pin 5678 --pin "$2" >/dev/null
}

softhsm_key() {
	pkcs11-tool --module "$SOFTHSM" --token-label "$1" --login --pin "$2" --keygen --key-type "AES:${5:-32}" \
		--label "$3" --id "$4" --sensitive >/dev/null 2>&1
}

softhsm_up() {
	mkdir -m 700 "$DIR/tokens"
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n' \
		"$DIR/tokens" >"$DIR/softhsm2.conf"
	export SOFTHSM2_CONF=$DIR/softhsm2.conf
	(umask 077 && echo 1234 >"$DIR/pin")
	printf 'pkcs11_module = %s\npkcs11_pin_file = %s\n' "$SOFTHSM" "$DIR/pin" >>"$DIR/kcache.conf"
	softhsm_token kv 1234 && softhsm_key kv 1234 kek1 01 && softhsm_key kv 1234 kek2 02
}
