# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# The same module, wrapping keys by RFC 3394: it binds no context, the hash in it does.

# shellcheck source=SCRIPTDIR/nss.sh
. "$top/tests/providers/backends/nss.sh"

eval "gcm_$(declare -f backend_up)"

backend_up() {
	gcm_backend_up
	KEY="$KEY?x-kcache-mechanism=key-wrap" KEY2="$KEY2?x-kcache-mechanism=key-wrap"
	GONE="$GONE?x-kcache-mechanism=key-wrap"
}
