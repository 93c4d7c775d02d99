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

# --- the command's own changes of the recipients ------------------------------------
# Each is recorded, and its final keys given; power-cut.py runs it again from every state.
# changes SENTENCE KEYS-AFTER COMMAND...: FILE in COMMAND is the volume
changes() {
	local sentence=$1 final=$2 words
	shift 2

	cp --sparse=always "$v" "$work/before"
	cp "$known" "$work/known.before"
	words=("${@//FILE/$v}")
	check "the writes of $sentence are recorded" recorded "$v" "$tools/kcache" -q "${words[@]}"
	cut change "$work/before" "$work" "$known" "$work/known.before" "$final" "$@"
	cp --sparse=always "$work/before" "$v"
	cp "$work/known.before" "$known"
}
v=$(file recipients 17M)
known=$work/state/volumes/$(kcache -q create "$v").json
k1=$(kcache recipient list -n "$v" | awk '{ print $5 }')
k2=$(kcache key create)
k3=$(kcache key create)
changes "recipient add" "$k1,$k2" recipient add FILE --key "$k2"
changes "rewrap" "$k2" rewrap FILE --key "$k2"
kcache -q recipient add "$v" --key "$k2"
changes "rewrap of one of two" "$k2,$k3" rewrap FILE --key "$k3" --from "$k1"
changes "recipient remove" "$k2" recipient remove FILE --key "$k1"
for _ in 3 4 5 6 7 8; do
	kcache -q recipient add "$v" --key "$(kcache key create)"
done
rest=$(kcache recipient list -n "$v" | awk '{ print $5 }' | tail -n +2 | paste -sd,)
changes "rewrap of one of eight" "$k3,$rest" rewrap FILE --key "$k3" --from "$k1"
