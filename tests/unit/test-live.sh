#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# suspend, resume, resize and ephemeral volumes, as far as no device-mapper is needed:
# arguments, and what is refused before anything is touched. The rest is in
# tests/integration/kcache-suspend.sh, kcache-resize.sh and kcache-ephemeral.sh.
# alone: asks that no key of ours is left in the keyrings of this machine
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

# --- create --ephemeral -----------------------------------------------------------
d=$(file scratch 17M)
hash=$(sha256sum <"$d")
create() { kcache create "$d" --ephemeral no-such-volume-$$ "$@"; }
for o in '--key local:alias/kcache' '--label scratch' '--timeout 5'; do
	# shellcheck disable=SC2086 # two words
	check "an ephemeral volume with ${o% *} is refused" expect_exit 1 create $o
	check "and says so" said "${o% *} makes no sense with --ephemeral"
done
check "a name that cannot be one is refused" expect_exit 1 kcache create "$d" --ephemeral a/b
check "--allow-discards without it is refused" expect_exit 1 kcache create "$d" --allow-discards
check "a sector size that is none is refused" expect_exit 1 create --sector-size 8192
check "a dry run" expect_exit 0 create --dry-run
check "says what it would do" said "^$d would become scratch space of 17.0 MiB as /dev/mapper/no-such-volume-$$; nothing was changed$"
check "in JSON" create --dry-run --json
create --dry-run --json >"$work/json"
check "with all there is to say" json "$work/json" 'j["ephemeral"] and j["dry_run"] and j["uuid"] is None and
	[j["name"], j["device"], j["sector_size"], j["offset"], j["size"]] == ["no-such-volume-'$$'", "'"$d"'", 4096, "0", str(17 << 20)]'
check "nothing was written" unchanged "$d" "$hash"
truncate -s +512 "$d"
create --dry-run --json >"$work/json"
check "sectors of 512 bytes where the size asks for it" json "$work/json" 'j["sector_size"] == 512'
check "and no others" expect_exit 4 create --dry-run --sector-size 4096
check "which is said" said 'is no multiple of 4096; use --sector-size 512'
truncate -s 17M "$d"
echo "something" | dd of="$d" conv=notrunc status=none
check "a file that is not blank is refused" expect_exit 5 create
check "and says what is there" said 'it is not blank: data in the first MiB; check that it is the right one, then use --force'
check "also a dry run" expect_exit 5 create --dry-run
hash=$(sha256sum <"$d")
check "with --force, but without device-mapper or privilege, it fails" expect_exit_of 2 4 create --force
check "with what was there in place" unchanged "$d" "$hash"
check "an empty file is refused" expect_exit 4 kcache create "$(file empty 0)" --ephemeral no-such-volume-$$
check "no key is left anywhere" not grep kcache: /proc/keys
check "nor a trace in the state folder" test -z "$(ls "$work/state")"
