# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes one device and reads another, which is the same disk, and the other way
round, through random scatter lists past the page cache: segments of every multiple of the sector, at
every offset in a page that is a multiple of it, of which many share a page and
many cross one.

    iovec.py DEVICE DEVICE SECTOR-SIZE [SEED]
"""
import hashlib
import mmap
import os
import random
import sys


def scatter(area, rng, sector, length):
    """Views of area that add up to length, none overlapping, in random order."""
    views, at = [], 0
    while length:
        at += sector * rng.choice((0, 0, 0, 1, 3, 7))
        size = min(length, sector * rng.choice((1, 1, 1, 2, 3, 5, 8, 13, 31)))
        views.append(memoryview(area)[at:at + size])
        at += size
        length -= size
    rng.shuffle(views)
    return views


def main(write, read, sector, seed=None):
    seed = int(seed) if seed else random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    out, back = mmap.mmap(-1, 8 << 20), mmap.mmap(-1, 8 << 20)
    out[:] = rng.randbytes(len(out))
    w = os.open(write, os.O_RDWR | os.O_DIRECT)
    r = os.open(read, os.O_RDWR | os.O_DIRECT)
    size = os.lseek(w, 0, os.SEEK_END)
    for turn in range(24):
        w, r = r, w
        length = sector * rng.randint(1, (512 << 10) // sector)
        at = sector * rng.randrange((size - length) // sector)
        wanted = hashlib.sha256()
        views = scatter(out, rng, sector, length)[:1000]
        length = sum(len(v) for v in views)
        for v in views:
            wanted.update(v)
        if os.pwritev(w, views, at) != length:
            sys.exit(f"short write in turn {turn}")
        got = hashlib.sha256()
        views = scatter(back, rng, sector, length)[:1000]
        done = sum(len(v) for v in views)
        if os.preadv(r, views, at) != done:
            sys.exit(f"short read in turn {turn}")
        for v in views:
            got.update(v)
        if done < length:
            rest = memoryview(back)[:length - done]
            if os.preadv(r, [rest], at + done) != length - done:
                sys.exit(f"short rest in turn {turn}")
            got.update(rest)
        if got.digest() != wanted.digest():
            sys.exit(f"turn {turn}: {length} bytes at {at} differ, seed {seed}")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
