# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# A software TPM. A key is a choice of PCRs: nobody can disable one or keep it from a user
# of the TPM, and one that is not there is of a bank that the TPM has not.

# shellcheck source=SCRIPTDIR/../swtpm.sh
. "$top/tests/providers/swtpm.sh"

backend_up() {
	PORT=$(tpm_port)
	echo "$PORT" >"$DIR/port"
	echo "tpm2_tcti = swtpm:host=127.0.0.1,port=$PORT" >>"$DIR/kcache.conf"
	KEY=tpm2:pcrs=15+7 KEY2=tpm2:bank=sha1,pcrs=4+8 GONE=tpm2:bank=sha512,pcrs=7
	tpm_make tpm && tpm_start tpm "$PORT"
}

backend_down() {
	tpm_stop no-tpm
	tpm_stop tpm
}

backend_do() {
	PORT=$(cat "$DIR/port")
	case $1 in
	down)
		tpm_stop tpm
		;;
	slow)
		kill -STOP "$(cat "$DIR/tpm.pid")"
		;;
	garbage)
		tpm_stop tpm
		no_tpm "$PORT" garbage
		;;
	throttled)	# TPM_RC_RETRY
		tpm_stop tpm
		no_tpm "$PORT" rc:0x922
		;;
	well)
		tpm_stop no-tpm
		tpm_stop tpm
		tpm_start tpm "$PORT"
		;;
	*)
		return 77
		;;
	esac
}
