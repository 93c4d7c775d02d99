#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What every verb has: help with an example, a man page that explains it and its
# options, a place in the completion, --json, and exit code 1 for what it does not know.
. "$(dirname "$0")/lib-cli.sh"

mapfile -t verbs < <(kcache --help | sed -n '/^Verbs/,/^$/s/^  \([a-z]\+\( [a-z-]\+\)\?\) .*/\1/p')
check "there are verbs" test ${#verbs[@]} -gt 30

man=$top/Documentation/man
# page VERB: its man page, one for each first word
page() { echo "$man/kcache-${1%% *}.8"; }
options() { sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\).*/\2/p' <<<"$1"; }

# arguments VERB HELP: how many it must have
arguments() { sed -n "1s/^Usage: kcache $1//p" <<<"$2" | sed 's/[[|].*//' | wc -w; }

global=$(options "$(kcache --help)")
for v in "${verbs[@]}"; do
	# shellcheck disable=SC2086 # two words
	help=$(kcache $v --help)
	page=$(page "$v")
	check "$v --help shows its usage" grep -q "^Usage: kcache $v" <<<"$help"
	check "and an example of it" grep -q "^  kcache $v" <<<"${help#*Example:}"
	check "$(basename "$page") explains $v" grep -q "^\.\(It \|Op \)\?Cm.* \?\b$v\b" "$page"
	check "and kcache.8 leads there" grep -q "^\.It Xr kcache-${v%% *} 8 Ta" "$man/kcache.8"
	while read -r o; do
		# what all verbs take is in the command's own page
		own=$page
		! grep -qxF -e "$o" <<<"$global" || own=$man/kcache.8
		check "and $o" grep -q -e "^\.It Fl .*${o#-}\b" "$own"
	done < <(options "$help")
	check "$v takes --json" grep -qxF -e --json <<<"$global"
	for flag in --lazy --force; do
		grep -qxF -e $flag <<<"$(options "$help")" || foreign=$flag
	done
	# shellcheck disable=SC2046,SC2086 # one word for each argument and each word of a verb
	check "$v refuses $foreign" expect_exit 1 kcache $v $(seq $(arguments "$v" "$help")) $foreign
	check "and says so" said "kcache $v does not take $foreign"
	# shellcheck disable=SC2046,SC2086
	check "$v refuses an argument too many" expect_exit 1 kcache $v $(seq 80)
done
for page in "$man"/*.8; do
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		check "$(basename "$page") has a section $section" grep -qx "\.Sh $section" "$page"
	done
done
for page in "$man"/*.[1-9]; do
	check "$(basename "$page") is well-formed" test -z "$(mandoc -T lint -W warning "$page" 2>&1)"
	while read -r to section; do
		check "and there is the $to($section) that it names" test -e "$man/$to.$section"
	done < <(sed -n 's/^\.\(It \)\?Xr \(kcache[a-z.-]*\) \([0-9]\).*/\2 \3/p' "$page" | sort -u)
done

# shellcheck source=../../tools/completion/kcache
. "$top/tools/completion/kcache"
check "completion knows the verbs" same "$(_kcache_verbs)" "$(printf '%s\n' "${verbs[@]%% *}" | sort -u)"
check "completion knows the verbs of two words" same "$(_kcache_group recipient | paste -sd' ')" "add remove list"
check "and those of key" test "$(_kcache_group key | wc -l)" -gt 20
check "completion knows a verb's options" grep -qx -e --lazy <<<"$(_kcache_options detach)"
check "and those of a verb of two words" grep -qx -e --alias <<<"$(_kcache_options key create)"
check "which of them are followed by a value" same "$(_kcache_valued create | paste -sd' ')" \
	"-k --key --sector-size --label --ephemeral -t --timeout --lease --on-revoke --config"
check "and what a verb is given" same "$(_kcache_argument 0 attach) $(_kcache_argument 1 attach) $(_kcache_argument 0 key grant)" \
	"DEVICE NAME KEY"
