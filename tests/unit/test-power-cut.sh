#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The power goes at any moment of create, and of a change of the header: what
# power-cut.py finds in each of the states that could be left.
. "$(dirname "$0")/lib-cli.sh"

recorded() { # FILE COMMAND...
	env RECORD_FILE="$1" RECORD_LOG="$work/writes" LD_PRELOAD="$tools/../unit/record-writes.so" \
		ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 "${@:2}"
}
cut() { # CREATE|UPDATE ARGUMENT...
	local line

	./power-cut.py "$1" "$tools/kcache" "$KCACHE_CONFIG" "$work/writes" "${@:2}" >"$work/cuts"
	while read -r line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }" ;;
		*) echo "$line" ;;
		esac
	done <"$work/cuts"
	check "the power cuts of $1 were all tried" grep -q '^# .* states' "$work/cuts"
	rm "$work/writes"
}

f=$(file recorded 20M)
check "the writes of a create are recorded" recorded "$f" "$tools/kcache" -q create "$f"
cut create 20971520 "$work"

f=$(file updated 20M)
update=$tools/../unit/header-update
check "a volume has a token" "$update" "$f" make
cp --sparse=always "$f" "$work/before"
check "the writes of a change of tokens are recorded" recorded "$f" "$update" "$f" update
cut update "$work/before" "$work" "$update"
