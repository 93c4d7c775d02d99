#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The KUnit suites, three times: on a kernel of our own (tests/kernel/build.sh) in
# QEMU with AES-NI, there again without (the generic cipher, another path through
# everything), and as User Mode Linux. Each time the driver that the module has to
# choose is given to it, and is a test like the others.
#
#   run.sh [OPTION...] [RUN...]     of aes-ni, generic, um; all of them if none is named
#     --flavour FLAVOUR   another kernel than "base" for those in QEMU; lines are
#                         counted there (KCACHE_GCOV)
#     --end SCRIPT        a test that comes last in each of those VMs
#     --gather FOLDER     gives each of them a disk, and keeps it there: what --end
#                         wants to bring out of the VM
#
# Logs are in build/kunit/logs. tests/kunit/ktap.py counts, and is tested first.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top" || exit
flavour=base end='' gather='' make=()
while [ $# -gt 0 ]; do
	case $1 in
	--flavour) flavour=$2 make=(KCACHE_GCOV=1); shift ;;
	--end) end=$2; shift ;;
	--gather) gather=$2; mkdir -p "$gather"; shift ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- aes-ni generic um
logs=build/kunit/logs
[ "$flavour" = base ] || logs+=-$flavour
mkdir -p "$logs"
export PYTHONDONTWRITEBYTECODE=1

generic='xts(ecb(aes-generic))'
passed=0
failed=0

# the module for a kernel of ours; its path in $ko
build() { # FLAVOUR [make arguments]
	local flavour=$1 kernel
	shift

	kernel=$(tests/kernel/build.sh "$flavour") && ko=$("$here/build.sh" "$kernel/build" "$@")
}

# what the kernel printed goes to stdout; only what went wrong to the log
x86() { # RUN CPU DRIVER
	local disk=()

	if [ -n "$gather" ]; then
		disk=(--disk "$gather/$1.disk")
		rm -f "$gather/$1.disk"
		truncate -s 64M "$gather/$1.disk"
	fi
	tests/qemu/vm --flavour "$flavour" --cpu "$2" --quiet --scratch 0:1M --time 180 --log "$logs/$1" \
		--append "log_buf_len=4M rcupdate.rcu_expedited=1" "${disk[@]}" \
		--add "$ko:/kcache/dm-kcache-kunit.ko" \
		tests/kunit/guest.sh ${end:+--end "$end"} /kcache/dm-kcache-kunit.ko "driver=$3" >"$logs/$1.boot" 2>&1
}

um() { # RUN DRIVER
	local dir=$logs/$1 kernel

	rm -rf "$dir"
	mkdir -p "$dir/root/dev"
	kernel=$(tests/kernel/build.sh um)/vmlinuz
	gcc -O2 -static -o "$dir/root/init" "$here/init.c" || return
	cp "$ko" "$dir/root/"
	echo -n "driver=$2" >"$dir/root/params"
	(cd "$dir/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$dir/initrd"
	# its memory is a file in TMPDIR; nothing else of this machine is in reach
	timeout -k 5 120 "$kernel" mem=256M initrd="$dir/initrd" ignore_loglevel panic=-1 \
		log_buf_len=4M rcupdate.rcu_expedited=1 con=null con0=null,fd:1 ssl=null \
		</dev/null >"$dir/output.log" 2>"$logs/$1.boot"
}

# tally: adds the counts of a line "NAME: N passed, N failed" to passed and failed
tally() {
	local counts=${1##*: }

	passed=$((passed + ${counts%% *}))
	counts=${counts#*, }
	failed=$((failed + ${counts%% *}))
}

# a run: boots, reads, counts; its last line says how many
run() { # RUN
	local code=0 line log=$logs/$1/output.log ended passed=0 failed=0

	# an older run's, where this one does not get as far as a machine
	rm -rf "${logs:?}/$1" "$logs/$1.boot"
	case $1 in
	aes-ni) ko=$ko_x86 && [ -n "$ko" ] && x86 "$1" max __xts-aes-aesni ;;
	generic) ko=$ko_x86 && [ -n "$ko" ] && x86 "$1" max,-aes "$generic" ;;
	um) ko=$ko_um && [ -n "$ko" ] && um "$1" "$generic" ;;
	esac || code=$?
	# a machine that died left its story on the console
	[ -s "$log" ] || log=$logs/$1/console.log
	[ -e "$log" ] || log=/dev/null
	line=$(sed '/^# the last test$/,$d' "$log" | "$here/ktap.py" "$1")
	[ "$(tail -n 1 <<<"$line")" != "$1: 0 passed, 0 failed" ] || code=1
	sed '$d' <<<"$line"
	tally "$(tail -n 1 <<<"$line")"
	if [ -n "$end" ] && [ "$1" != um ]; then
		ended=$(sed '1,/^# the last test$/d' "$log")
		grep -avE '^(ok - |end: )' <<<"$ended"
		line=$(grep -aE '^end: [0-9]+ passed, [0-9]+ failed$' <<<"$ended" | tail -n 1)
		[ -n "$line" ] || { line="end: 0 passed, 1 failed"; echo "not ok - $1: the last test runs to its end"; }
		printf '  %-7s %s: %s\n' TEST "$1" "$line"
		tally "$line"
	fi
	if [ "$code" -ne 0 ]; then
		echo "not ok - $1: the machine is well at the end (exit code $code)"
		[ ! -s "$logs/$1.boot" ] || sed 's/^/    | /' "$logs/$1.boot"
		failed=$((failed + 1))
	fi
	echo "$1: $passed passed, $failed failed"
}

for run; do
	case $run in
	aes-ni | generic | um) ;;
	*) echo "kunit: no run $run: want aes-ni, generic or um" >&2; exit 2 ;;
	esac
done
out=$("$here/ktap-test.py") || grep -A1 '^not ok' <<<"$out"
printf '  %-7s %s\n' TEST "$(tail -n 1 <<<"$out")"
tally "$(tail -n 1 <<<"$out")"

# What is built takes all CPUs and comes first; a run that has no module fails. The runs
# want one CPU each for the most part, and go side by side.
ko_x86='' ko_um=''
[[ " $* " != *" aes-ni "* && " $* " != *" generic "* ]] || { build "$flavour" "${make[@]}" && ko_x86=$ko; }
[[ " $* " != *" um "* ]] || { build um ARCH=um && ko_um=$ko; }
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
for run; do
	[ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
	run "$run" >"$dir/$run" &
done
wait
for run; do
	sed '$d' "$dir/$run"
	tally "$(tail -n 1 "$dir/$run")"
done
echo "kunit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
