# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # $DIR is run.sh's
#
# NSS softokn's token below $DIR: nss_up makes its database with a PIN and AES keys
# kek1 and kek2, and tells kcache.conf about it.

nss_up() {
	NSS=$(ldconfig -p | sed -n 's/.*libsoftokn3\.so .*=> //p' | head -n 1)
	[ -n "$NSS" ] || NSS=$(find /usr/lib -name libsoftokn3.so | head -n 1)
	mkdir -m 700 "$DIR/nss"
	(umask 077 && echo 1234 >"$DIR/pin")
	printf 'pkcs11_module = %s\npkcs11_module_args = %s\npkcs11_pin_file = %s\n' "$NSS" \
		"configdir='sql:$DIR/nss' certPrefix='' keyPrefix='' secmod='secmod.db'" "$DIR/pin" >>"$DIR/kcache.conf"
	certutil -N -d "sql:$DIR/nss" -f "$DIR/pin" &&
		nss_key kek1 && nss_key kek2
}

# nss_key LABEL
nss_key() {
	symkeyutil -K -n "$1" -t aes -s 32 -d "sql:$DIR/nss" -f "$DIR/pin" >/dev/null
}
