# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests that inject failures, in the VM under the debug kernel. Sourced after
# tests/integration/lib.sh.

# who fails to allocate says so with a stack; whoever complains of more than that has
# another word in his report
expect_kernel 'Call Trace:'

# take SECONDS PROGRAM...: the program's sentences are this test's. Who hangs in the
# kernel cannot be killed, and what comes later would hang as well: that ends the test.
take() {
	local limit=$(($1 * ${STRETCH:-1})) line told=
	shift

	while IFS= read -r -t $((limit + 10)) line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }"; told=1 ;;
		'exit 0') return ;;
		'exit '*) [ -n "$told" ] || fail "$* comes to its end" "$line"; return ;;
		hangs) exit 1 ;;
		*) echo "$line" ;;
		esac
	done < <(timeout -k 5 $limit "$@" 2>&1; echo "exit $?")
	fail "$* comes to its end" "it hangs"
	exit 1
}

# /dev/ram0, the disk below: it completes where it was asked. All tests of a boot share
# it. Without pages of its own it would have to allocate them.
ram_disk() {
	modprobe brd rd_nr=1 rd_size=32768
	head -c 32M /dev/zero >/dev/ram0
	sync /dev/ram0
}

# walk SECONDS WHAT...: the sentences of fault-walk (walk.c), and that nothing is left
walk() {
	# The log without notices (5) and below: an audit record for each of thousands of
	# tables, letter by letter over an emulated serial line, takes longer than the rest.
	dmesg -n 5
	# what the module waits for on each of thousands of removals
	echo 1 >/sys/kernel/rcu_expedited
	take "$1" fault-walk "${@:2}"
	echo 0 >/sys/kernel/rcu_expedited
	dmesg -n 8
	# a walk that ended early leaves its device
	dmsetup remove faults 2>/dev/null
	check "no device is left" same "$(dmsetup ls)" "No devices found"
}

# the module goes, and nothing of it stays
unload() {
	check "the module can be unloaded" modprobe -r dm-kcache
	check "no memory is left" no_leaks
}

# inject WHAT ATTRIBUTE=VALUE...: /sys/kernel/debug/WHAT/ATTRIBUTE, see the kernel's
# fault-injection.rst; nothing is said in the log, and it goes on until it is ended
inject() {
	local dir=/sys/kernel/debug/$1 a
	shift

	for a in verbose=0 times=-1 "$@"; do
		echo "${a#*=}" >"$dir/${a%%=*}" || return
	done
}

# shrinkers give back what they can; 4: from here on without a word in the log
shrink() { echo 4 >/proc/sys/vm/drop_caches && echo 2 >/proc/sys/vm/drop_caches; }

# no memory for who does not wait for it, all over the kernel; what may wait gets it
starve() {
	# what the module keeps back is given back first
	shrink
	inject failslab task-filter=N ignore-gfp-wait=Y probability=100
	inject fail_page_alloc task-filter=N ignore-gfp-wait=Y ignore-gfp-highmem=N min-order=0 probability=100
}
feed() {
	echo 0 >/sys/kernel/debug/fail_page_alloc/probability
	echo 0 >/sys/kernel/debug/failslab/probability
}
on_exit feed

# Memory that nobody points to: each way that it was come by, a line, and how much there
# is of it. kmemleak leaves out what is younger than 5 s, and tells in its second scan
# what was not there in the first. Once the module has gone: nothing in its own variables
# holds then what was forgotten. Its functions have no names any more.
leaked() {
	local dir=/sys/kernel/debug

	sleep 6
	echo scan >$dir/kmemleak && echo scan >$dir/kmemleak || return
	awk '/^unreferenced/ { if (way) n[way]++; way = "" }
		/^ *\[</ { way = way " " $2 $3 }
		END { if (way) n[way]++; for (way in n) print n[way] ":" way }' $dir/kmemleak
}

# What the kernel itself forgets where an allocation fails, whoever asked: the name of
# a slab that cannot be shown in sysfs (sysfs_slab_add() without kobject_put()).
known_leaks=' kobject_init_and_add[^ ]* sysfs_slab_add'
no_leaks() {
	local all

	all=$(leaked) || return
	echo "# $(grep -cE -- "$known_leaks" <<<"$all") ways of the kernel to leak" >&3
	! grep -vE -- "$known_leaks" <<<"$all" | grep .
}
exec 3>&1
# the test says what of it is no leak of the kernel's own
expect_kernel 'kmemleak: [0-9]+ new suspected'
