# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# NSS softokn, a module that disagrees with SoftHSM about error codes and formats.

# shellcheck source=SCRIPTDIR/../nss.sh
. "$top/tests/providers/nss.sh"

backend_up() {
	KEY='pkcs11:token=NSS%20Certificate%20DB;object=kek1'
	KEY2='pkcs11:token=NSS%20Certificate%20DB;object=kek2'
	GONE='pkcs11:object=kek9;token=NSS%20Certificate%20DB;type=secret-key'
	nss_up
}

backend_down() {
	:
}

backend_do() {
	return 77
}
