#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A load that calls fsync a lot, and says in the log what it may rely on.

  load.py FOLDER LOGGED MANIFEST SEED STEPS

One change of FOLDER after the other: a new file, part of a file written anew
through the page cache or past it (O_DIRECT with O_DSYNC: forced unit access), a
file put in the place of another, a file removed. When the change is durable by
the rules of POSIX (fsync of file and folder has returned), the mark "durable-N"
goes into the log of the log-writes device LOGGED.

MANIFEST receives, for each N: what every file must hold from the mark on, and
which files the step was about; those may be in any state before the mark.
"""
import hashlib
import json
import mmap
import os
import random
import subprocess
import sys

folder, logged, manifest, seed, steps = sys.argv[1:]
rnd = random.Random(int(seed))
held = {}
states = [{"files": {}, "touched": []}]


def path(name):
    return os.path.join(folder, name)


def fsync_folder():
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def write_at(fd, offset, data):
    while data:
        n = os.pwrite(fd, data, offset)
        offset += n
        data = data[n:]


def content():
    return bytearray(rnd.randbytes(rnd.randint(1, 16) * 4096 - rnd.choice((0, 0, 1000))))


def create(name, data):
    fd = os.open(path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    write_at(fd, 0, data)
    os.fsync(fd)
    os.close(fd)
    fsync_folder()


def new_file(n):
    name = f"f{n}"
    data = content()
    create(name, data)
    held[name] = data
    return [name]


def overwritten(n):
    name = rnd.choice(sorted(held))
    data = held[name]
    at = rnd.randrange(len(data))
    new = rnd.randbytes(rnd.randint(1, len(data) - at))
    fd = os.open(path(name), os.O_WRONLY)
    write_at(fd, at, new)
    os.fdatasync(fd)
    os.close(fd)
    data[at:at + len(new)] = new
    return [name]


def overwritten_direct(n):
    name = rnd.choice([f for f in sorted(held) if len(held[f]) >= 4096] or ["none"])
    if name == "none":
        return new_file(n)
    data = held[name]
    at = rnd.randrange(len(data) // 4096) * 4096
    new = rnd.randbytes(4096)
    page = mmap.mmap(-1, 4096)
    page.write(new)
    fd = os.open(path(name), os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
    if os.pwritev(fd, [page], at) != 4096:
        sys.exit("load.py: a short write")
    os.close(fd)
    data[at:at + 4096] = new
    return [name]


def replaced(n):
    name = rnd.choice(sorted(held))
    new = f"new{n}"
    data = content()
    create(new, data)
    os.rename(path(new), path(name))
    fsync_folder()
    held[name] = data
    return [name, new]


def removed(n):
    name = rnd.choice(sorted(held))
    os.unlink(path(name))
    fsync_folder()
    del held[name]
    return [name]


for n in range(1, int(steps) + 1):
    if len(held) < 3:
        step = new_file
    else:
        step = rnd.choice((new_file, overwritten, overwritten, overwritten_direct, overwritten_direct, replaced, removed))
    touched = step(n)
    subprocess.run(["dmsetup", "message", logged, "0", "mark", f"durable-{n}"], check=True)
    states.append({"files": {f: hashlib.sha256(d).hexdigest() for f, d in held.items()}, "touched": touched})
with open(manifest, "w", encoding="ascii") as f:
    json.dump(states, f)
