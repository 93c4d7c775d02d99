#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What can be found without running anything. One item a line, two at a time; an
# item whose inputs were found clean before, in this tree or another, is not run
# again: the cache knows them by what is in them, and forgets them after 30 days.
#
#   lint.sh [ITEM...]
set -u
shopt -s nullglob globstar
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit
cache=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}
state=$top/build/lint
clean=$cache/lint
mkdir -p "$state" "$clean"
find "$clean" -type f -mtime +30 -delete
# what looks, and the libraries' headers, may be others tomorrow
# shellcheck disable=SC2016 # dpkg-query's own names
tools=$(tests/packages.sh --list lint build | xargs dpkg-query -W -f '${Package} ${Version}\n' 2>/dev/null | sha256sum)

files() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r f; do
	[ ! -f "$f" ] || echo "$f"; done; }

# the kernel's own scripts, out of Debian's source package
kernel_scripts() {
	local tar dir

	tar=$(printf '%s\n' /usr/src/linux-source-6.*.tar.xz | sort -V | head -n 1)
	[ -n "$tar" ] || { echo "no linux-source package here: apt-get install linux-source-6.1"; return 1; }
	dir=$cache/$(basename "$tar" .tar.xz)-$(stat -c %Y "$tar")-scripts
	(
		flock 9
		[ -e "$dir/checkpatch.pl" ] && exit
		rm -rf "$dir.new" && mkdir "$dir.new" &&
			tar -C "$dir.new" --strip-components=2 --wildcards -xf "$tar" \
				'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
				'*/scripts/const_structs.checkpatch' '*/scripts/kernel-doc' &&
			mv "$dir.new" "$dir"
	) 9>"$cache/.scripts.lock" || return 1
	scripts=$dir
}

# --- items: each prints what it found and fails if it found something --------

module_files=(Kbuild dm-kcache/*.[ch])

# the functions' inputs, for the cache: files_ITEM; without one it is run each time
files_sparse() { printf '%s\n' "${module_files[@]}"; }
lint_sparse() {
	local out dir=$state/module kdir

	kdir=$(tests/kdir.sh 2>/dev/null) || { echo "no kernel headers"; return 1; }
	tests/module.sh "$dir"
	out=$(make -C "$kdir" M="$dir" C=2 W=1 modules 2>&1) || { echo "$out"; return 1; }
	! grep -E '(warning|error):' <<<"$out" | sed "s,$dir/,," | grep dm-kcache
}

files_checkpatch() { printf '%s\n' "${module_files[@]}"; }
lint_checkpatch() {
	kernel_scripts || return
	# compat.h is the one place where kernel versions may be looked at; tracepoints
	# are laid out as everywhere in the kernel, which checkpatch does not know
	printf '%s\n' dm-kcache/*.[ch] | while read -r f; do
		case $f in
		*/compat.h) ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON ;;
		*/trace.h) ignore=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT ;;
		*) ignore=NONE ;;
		esac
		"$scripts/checkpatch.pl" --no-tree --strict --terse --show-types --max-line-length=100 \
			--ignore "$ignore" -f "$f" || echo failed
	done >"$state/checkpatch.out"
	! grep -v '^total: ' "$state/checkpatch.out"
}

files_kernel-doc() { printf '%s\n' "${module_files[@]}"; }
lint_kernel-doc() {
	kernel_scripts || return
	"$scripts/kernel-doc" -none -Werror dm-kcache/*.[ch]
}

files_tools-werror() { files 'tools/**/*.[ch]' 'tools/*.[ch]' tools/Makefile; }
lint_tools-werror() { make -s -C tools O="$top/build/tools" all >"$state/tools.log" 2>&1 || { cat "$state/tools.log"; return 1; }; }

tool_includes=(-Itools -Itools/lib -Itools/keyhelper -Itools/keyhelper/local)
tool_defines=(-D_GNU_SOURCE -DKC_VERSION='"0"' -DKC_LIBEXECDIR='"/"')

files_cppcheck() { files_tools-werror; }
lint_cppcheck() {
	mkdir -p "$state/cppcheck"
	# variableScope: kernel style declares at the top of a function
	cppcheck -q --std=c11 --language=c --enable=warning,style,performance,portability \
		--inline-suppr --error-exitcode=1 --cppcheck-build-dir="$state/cppcheck" \
		--suppress=missingIncludeSystem --suppress=unusedStructMember --suppress=variableScope \
		"${tool_includes[@]}" "${tool_defines[@]}" tools 2>&1
}

# one file at a time: the slowest item, so each file is remembered by itself
files_clang-tidy() { files_tools-werror; echo .clang-tidy; }
lint_clang-tidy() {
	local flags headers

	flags=$(pkg-config --cflags libcryptsetup devmapper libkeyutils blkid mount libcrypto sqlite3 json-c libseccomp libsystemd libcurl tss2-esys p11-kit-1)
	headers=$({ echo "$tools $flags ${tool_includes[*]} ${tool_defines[*]}"; cat .clang-tidy tools/**/*.h; } | sha256sum)
	export clean headers
	# shellcheck disable=SC2016,SC2086 # expanded by the shell that xargs starts
	printf '%s\n' tools/**/*.c | xargs -P 2 -I{} bash -c '
		f=$1
		shift
		key=$({ echo "$headers $f"; cat "$f"; } | sha256sum)
		key=$clean/tidy-${key%% *}
		[ ! -e "$key" ] || { touch "$key"; exit 0; }
		out=$(clang-tidy --quiet "$f" -- -std=gnu11 "$@" 2>/dev/null) || { grep -E ": (error|warning):" <<<"$out"; exit 1; }
		touch "$key"' lint {} "${tool_includes[@]}" "${tool_defines[@]}" $flags
}

scripts_here() {
	files | while read -r f; do
		case $f in
		*.sh | */completion/*) echo "$f" ;;
		*) head -c 64 "$f" | head -n 1 | grep -aqE '^#!.*\b(ba|da)?sh\b' && echo "$f" ;;
		esac
	done
}
files_shellcheck() { scripts_here; echo .shellcheckrc; }
lint_shellcheck() { scripts_here | xargs shellcheck; }

files_man() { files 'Documentation/man/*.[1-9]'; }
lint_man() { files_man | xargs mandoc -T lint -W warning; }

# Names of package hosts and paths of the machine it was written on: taken from
# the machine when this runs, so that none stands here; and so always looked for anew.
lint_names() {
	local hosts above bad=0

	hosts=$(grep -rhoE '(https?|ftp)://[^/ ]+' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
		sed -E 's#.*//([^@]*@)?##' | grep '\.' | sort -u | sed 's/\./\\./g' | paste -sd'|')
	[ -z "$hosts" ] || ! files | xargs grep -nIE "$hosts" || bad=1
	above=$(dirname "$top")
	[ "$above" = / ] || ! files | xargs grep -nIF "$above/" || bad=1
	return $bad
}

# the first three lines of every source say its licence; nothing is left for later
files_leftovers() { files; }
lint_leftovers() {
	local f bad=0

	while read -r f; do
		head -n 3 "$f" | grep -q SPDX-License-Identifier || { echo "$f: no SPDX line"; bad=1; }
	done < <(files '*.[ch]' '*.sh' '*Makefile' Kbuild)
	! files '*.[ch]' '*.sh' '*Makefile' Kbuild | grep -v '^tests/lint.sh$' |
		xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b|not implemented' || bad=1
	! files 'dm-kcache/*.[ch]' | grep -v compat | xargs grep -nE 'LINUX_VERSION_CODE|KERNEL_VERSION\(' || bad=1
	return $bad
}

# what names the version by itself, because who reads it reads nothing else
files_version() { printf '%s\n' VERSION dkms.conf CHANGELOG.md; }
lint_version() {
	local version bad=0

	version=$(cat VERSION)
	grep -qx "PACKAGE_VERSION=\"$version\"" dkms.conf || { echo "dkms.conf: PACKAGE_VERSION is not VERSION's $version"; bad=1; }
	[ "$(sed -n 's/^## \([^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)" = "$version" ] ||
		{ echo "CHANGELOG.md: the first heading is not VERSION's $version"; bad=1; }
	return $bad
}

# --- running them -----------------------------------------------------------

item() {
	local name=$1 key='' log=$state/$1.log

	if declare -F "files_$name" >/dev/null; then
		# names of files count too: what a file is called, and which there are
		key=$({ echo "$tools"; cat tests/lint.sh; "files_$name" | xargs sha256sum; } 2>/dev/null | sha256sum)
		key=$clean/$name-${key%% *}
	fi
	if [ -n "$key" ] && [ -e "$key" ]; then
		touch "$key"
		echo "ok - $name (as it was)"
	elif "lint_$name" >"$log" 2>&1; then
		[ -z "$key" ] || touch "$key"
		echo "ok - $name"
	else
		echo "not ok - $name"
		sed 's/^/    /' "$log" | head -n 60
	fi
}

all=(clang-tidy sparse cppcheck tools-werror checkpatch kernel-doc shellcheck man names leftovers version)
[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
	declare -F "lint_$name" >/dev/null || { echo "lint: no item $name, only: ${all[*]}" >&2; exit 2; }
done
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for name; do
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
		wait -n
	done
	# an item's lines stay together
	{ lines=$(item "$name"); echo "$lines"; } | tee -a "$results" &
done
wait
passed=$(grep -c '^ok - ' "$results")
failed=$(grep -c '^not ok - ' "$results")
echo "lint: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
