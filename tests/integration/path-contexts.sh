#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Wherever the device below completes: here in the submitting task and in softirq,
# in path-hardirq, path-devices and path-stacks elsewhere. What is written through
# kcache is read through dm-crypt and the other way round; the counters tell which
# way it went.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx

# --- in the task that submits -----------------------------------------------
modprobe brd rd_nr=1 rd_size=65536
on_exit rmmod brd
both_ways brd /dev/ram0
check "brd: nothing was handed on" same "$deferred" 0
both_ways "brd, iv_large_sectors" /dev/ram0 sector_size:2048 iv_large_sectors

# --- null_blk: completion where we like it ----------------------------------
# irqmode: 0 in the submitter, 1 softirq
null_disk n0 irqmode=0
both_ways "null_blk, in the submitter" "$NULL" sector_size:4096
check "null_blk, in the submitter: nothing was handed on" same "$deferred" 0
null_disk n1 irqmode=1
both_ways "null_blk, softirq" "$NULL"
check "null_blk, softirq: small reads are done there" test "$inline" -gt 300
check "null_blk, softirq: none was handed on" test "$deferred" -lt 50
