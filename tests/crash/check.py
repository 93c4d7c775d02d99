#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every moment at which the power could have gone, looked at.

  check.py REPLAY-LOG LOG BASE SPARE LINE FS MANIFEST

Replays LOG onto the blank device BASE, step by step, and stops wherever a flush,
a forced unit access or a mark of load.py has completed. There a snapshot of BASE
(its changes go to SPARE) is opened with the table line LINE, in which DEVICE
stands for it; it must mount, hold every file as MANIFEST says for the last mark,
unmount, and leave nothing to the file system checker.

BASE gets what was written below the encryption: ciphertext. What is looked at is
a copy that is thrown away, so that the next step goes on from what the log says.

Prints "ok - ..." and "not ok - ..." lines.
"""
import hashlib
import json
import os
import subprocess
import sys

replay, log, base, spare, line, fs, manifest = sys.argv[1:]
mnt = "/mnt/moment"
with open(manifest, encoding="ascii") as f:
    states = json.load(f)
fsck = {"ext4": ["e2fsck", "-fn", "/dev/mapper/moment"], "xfs": ["xfs_repair", "-n", "/dev/mapper/moment"]}[fs]


class Wrong(Exception):
    pass


def run(*args):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if p.returncode:
        raise Wrong(f"{' '.join(args)}: exit {p.returncode}: {p.stdout.strip()}")
    return p.stdout


def entries():
    for text in run(replay, log, "list").splitlines():
        words = text.split()
        yield words[1], int(words[3]), words[4] if len(words) > 4 else ""


def check_files(durable):
    """The files are as after step number durable; the next step may have begun."""
    begun = states[durable + 1]["touched"] if durable + 1 < len(states) else []
    folder = os.path.join(mnt, "d")
    for name, want in states[durable]["files"].items():
        if name in begun:
            continue
        try:
            with open(os.path.join(folder, name), "rb") as f:
                got = hashlib.sha256(f.read()).hexdigest()
        except OSError as e:
            raise Wrong(f"{name}, durable with step {durable}, is gone: {e}") from e
        if got != want:
            raise Wrong(f"{name} is not what it was when step {durable} was durable")
    more = set(os.listdir(folder) if durable else ()) - set(states[durable]["files"]) - set(begun)
    if more:
        raise Wrong(f"removed for good by step {durable}, and back: {sorted(more)}")


def look(durable):
    sectors = run("blockdev", "--getsz", base).strip()
    run("dmsetup", "create", "frozen", "--table", f"0 {sectors} snapshot {base} {spare} N 8")
    try:
        run("dmsetup", "create", "moment", "--table", line.replace("DEVICE", "/dev/mapper/frozen"))
        try:
            run("mount", "-t", fs, "/dev/mapper/moment", mnt)
            try:
                check_files(durable)
            finally:
                run("umount", mnt)
            run(*fsck)
        finally:
            run("dmsetup", "remove", "--retry", "moment")
    finally:
        run("dmsetup", "remove", "--retry", "frozen")


os.makedirs(mnt, exist_ok=True)
kinds = {"flush": 0, "fua": 0, "mark": 0}
applied = looked = durable = 0
# what the device is at now has not been looked at; where it was is known to be right
fresh = False
made = False
failed = []
where = ""


def look_now(upto):
    global applied, looked, fresh
    try:
        run(replay, log, "apply", base, str(applied), str(upto))
        applied = upto
        look(durable)
    except Wrong as e:
        failed.append(f"{where}: {e}")
    looked += 1
    fresh = False


everything = list(entries())
for i, (kind, sectors, mark) in enumerate(everything):
    # the same state is looked at once, with the last of the marks that are made in it
    if fresh and (sectors or i + 1 == len(everything)):
        look_now(i)
    if mark == "made":
        made = True
    if mark.startswith("durable-"):
        durable = int(mark[8:])
    if not made or kind not in kinds:
        continue
    kinds[kind] += 1
    where = f"at entry {i} of {len(everything)} ({kind}, durable: step {durable})"
    fresh = True
    if len(failed) >= 5:
        break
if fresh and len(failed) < 5:
    look_now(len(everything))

print(f"# {fs}: {kinds['flush']} flushes, {kinds['fua']} forced unit accesses and {kinds['mark']} marks"
      f" among {len(everything)} entries, {looked} different states looked at")
for text in failed:
    print(f"not ok - {fs} after a power cut {text}")
if durable != len(states) - 1 and not failed:
    failed.append("")
    print(f"not ok - the log holds the whole load: it ends with step {durable} of {len(states) - 1}")
if kinds["flush"] < 10 or kinds["fua"] < 10:
    failed.append("")
    print(f"not ok - the load flushes and forces unit accesses: {kinds}")
if not failed:
    print(f"ok - {fs} is clean, and what was durable is there, at each of {sum(kinds.values())} points of the log")
sys.exit(1 if failed else 0)
