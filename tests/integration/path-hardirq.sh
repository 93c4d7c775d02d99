#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# As path-contexts, where the device below completes on another CPU or in a hard
# interrupt: what cannot be decrypted there is handed on.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx

# irqmode: 1 softirq, 2 a timer's hard interrupt
null_disk n2 irqmode=1 submit_queues=2
both_ways "null_blk, softirq, two queues" "$NULL" sector_size:1024
null_disk n3 irqmode=2 completion_nsec=10000
both_ways "null_blk, hard interrupt" "$NULL"
check "null_blk, hard interrupt: reads are handed on" test "$deferred" -gt 50
null_disk n4 irqmode=2 completion_nsec=2000000 submit_queues=2 blocksize=4096
both_ways "null_blk, late hard interrupt, 4096-byte sectors" "$NULL" sector_size:4096
check "null_blk, late hard interrupt: reads are handed on" test "$deferred" -gt 50
