# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# SoftHSM: a key is in its token or is not; the token can be away.

# shellcheck source=SCRIPTDIR/../softhsm.sh
. "$top/tests/providers/softhsm.sh"

backend_up() {
	KEY='pkcs11:token=kv;object=kek1' KEY2='pkcs11:token=kv;id=%02'
	GONE='pkcs11:id=%99;token=kv;type=secret-key'
	softhsm_up
}

backend_down() {
	:
}

backend_do() {
	case $1 in
	down)
		mv "$DIR/tokens" "$DIR/away" && mkdir -m 700 "$DIR/tokens"
		;;
	well)
		rmdir "$DIR/tokens" && mv "$DIR/away" "$DIR/tokens"
		;;
	*)
		return 77
		;;
	esac
}
