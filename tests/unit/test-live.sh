#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# suspend, resume, resize and ephemeral volumes, as far as no device-mapper is needed:
# arguments, and what is refused before anything is touched. The rest is in
# tests/integration/kcache-suspend.sh, kcache-resize.sh and kcache-ephemeral.sh.
. "$(dirname "$0")/lib-cli.sh"

# expect_exit_of CODE CODE COMMAND...: exits with one of the two
expect_exit_of() {
	local one=$1 other=$2
	shift 2
	expect_exit "$one" "$@" || expect_exit "$other" "$@"
}

for v in suspend resume resize; do
	check "$v needs a name" expect_exit 1 kcache $v
	check "and says so" said "missing arguments; usage: kcache $v NAME"
	check "$v refuses what cannot be a name" expect_exit 1 kcache $v a/b
	check "and says so" said "\`a/b' cannot be a name in /dev/mapper"
	# where there is no device-mapper, or no permission, it is that
	check "$v of a name that nobody has" expect_exit_of 2 4 kcache $v no-such-volume-$$
	check "is one line, with the name" said "^kcache: no-such-volume-$$: "
	check "nothing is recorded of it" test ! -e "$work/audit.jsonl"
done
for size in 0 -1 1.5G 12Q 1KB 0x10 99999999999999999999 ' 1'; do
	check "resize to \`$size' is refused" expect_exit 1 kcache resize vol --size "$size"
	check "and says so" said "--size takes bytes, or a number of K, M, G or T \(1024 each\), not \`$size'"
done
