#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes past the page cache, again and again, and says when that fails or has to wait.

    direct-writer.py DEVICE FILE

Block after block of 4096 bytes, each with its own number, every 20 ms, round the first MiB.
FILE gets "start", then "slow NS" when a write that took more than a second is done, NS being
how long, and "failed NS", the wall clock, at the first error: it ends then. At SIGTERM it
reads all of it back, past the cache too, and says "good N" or "lost BLOCK"."""
import mmap
import os
import signal
import sys
import time

SIZE, BLOCKS = 4096, 256
stop = False


def end(*_):
    global stop
    stop = True


signal.signal(signal.SIGTERM, end)
page = mmap.mmap(-1, SIZE)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
with open(sys.argv[2], "w", buffering=1) as out:
    out.write("start\n")
    written = {}
    n = 0
    while not stop:
        page[:] = (b"%016d" % n) * (SIZE // 16)
        begin = time.monotonic_ns()
        try:
            os.pwritev(fd, [page], n % BLOCKS * SIZE)
        except OSError:
            out.write(f"failed {time.time_ns()}\n")
            sys.exit(0)
        written[n % BLOCKS] = n
        n += 1
        if time.monotonic_ns() - begin > 1_000_000_000:
            out.write(f"slow {time.monotonic_ns() - begin}\n")
        time.sleep(0.02)
    for block, number in written.items():
        os.preadv(fd, [page], block * SIZE)
        if page[:] != (b"%016d" % number) * (SIZE // 16):
            out.write(f"lost {block}\n")
            sys.exit(1)
    out.write(f"good {n}\n")
