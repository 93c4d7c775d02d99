# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes each device of a pair and reads the other, which is the same disk, past
the page cache: /dev/mapper/k0 and c0, k1 and c1, ...

    pairs.py PAIRS
"""
import mmap
import os
import random
import sys

for n in range(int(sys.argv[1])):
    for write, read in ((f"k{n}", f"c{n}"), (f"c{n}", f"k{n}")):
        w = os.open("/dev/mapper/" + write, os.O_RDWR | os.O_DIRECT)
        r = os.open("/dev/mapper/" + read, os.O_RDONLY | os.O_DIRECT)
        size = os.lseek(w, 0, os.SEEK_END)
        out, back = mmap.mmap(-1, size), mmap.mmap(-1, size)
        out[:] = random.randbytes(size)
        # half in one large write, half in writes of 4 KiB
        os.pwrite(w, memoryview(out)[:size // 2], 0)
        for at in range(size // 2, size, 4096):
            os.pwrite(w, memoryview(out)[at:at + 4096], at)
        os.preadv(r, [back], 0)
        print(write, read, "equal" if out[:] == back[:] else "differ")
        os.close(w)
        os.close(r)
