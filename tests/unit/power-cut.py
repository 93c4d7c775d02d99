#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A power cut at any point of create, on a plain file.

  power-cut.py KCACHE CONFIG LOG SIZE WORKDIR

LOG is what record-writes.c recorded of one create on an empty file of SIZE
bytes. Every state that a power cut could have left is rebuilt: each prefix of
the writes; each prefix and half of the next write; and, because a disk may
reorder what was not flushed, each prefix with one write missing that no flush
followed. On each of them:

  * dump says clearly what it is: exit 0 (complete, or unfinished) or 4 (nothing
    there) or 8 (does not hold); complete only if create had written its token
  * attach says in one line, with exit code 4 or 8, that it is no volume; only of a
    complete one it may complain that this machine cannot map it, or map it
  * create, without --force, either completes (exit 0) or refuses a device that
    is not blank (exit 5); what is complete is never made anew

Prints "ok - ..." and "not ok - ..." lines.
"""
import hashlib
import json
import os
import subprocess
import sys

kcache, config, log, size, work = sys.argv[1:]
size = int(size)


def parse():
    data = open(log, "rb").read()
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].split()
        at = end + 1
        if words[0] == b"sync":
            yield None
            continue
        offset, length = int(words[1]), int(words[2])
        yield offset, data[at:at + length]
        at += length


def run(*args):
    p = subprocess.run([kcache, "--config", config, "-q", *args], capture_output=True, text=True, check=False)
    return p.returncode, p.stdout, p.stderr.strip()


def image(writes, name):
    """The file, and a hash of what it holds."""
    path = os.path.join(work, name)
    with open(path, "w+b") as f:
        f.truncate(size)
        for offset, payload in writes:
            f.seek(offset)
            f.write(payload)
        f.seek(0)
        return path, hashlib.sha256(f.read()).digest()


def attach(path, state):
    code, _, err = run("attach", path, "power-cut-test")
    if code == 0:
        run("detach", "power-cut-test")
    gets_to_kernel = code == 0 or "device-mapper" in err or "loop device" in err
    if gets_to_kernel != (state == "complete"):
        return f"dump says {state}, attach: exit {code}: {err}"
    if not gets_to_kernel and (code not in (4, 8) or "\n" in err):
        return f"attach of what is {state}: exit {code}: {err}"
    return None


def judge(writes, complete):
    """None, or what is wrong with this state. complete: True, False, or None where both are right."""
    path, digest = image(writes, "cut.img")
    if (digest, complete) in judged:
        return None
    judged.add((digest, complete))
    code, out, err = run("dump", "--json", path)
    if code == 0:
        state = "unfinished" if json.loads(out)["unfinished"] else "complete"
    elif code in (4, 8) and err.count("\n") == 0:
        state = "nothing" if code == 4 else "broken"
    else:
        return f"dump: exit {code}: {err}"
    if state == "complete" and complete is False:
        return "a volume before its token was written"
    if complete and state != "complete":
        return f"written to the end, but dump says {state}: {err}"
    wrong = attach(path, state)
    if wrong:
        return wrong
    code, out, err = run("create", path)
    seen[state, code] = seen.get((state, code), 0) + 1
    if state == "complete":
        return None if code == 5 else f"create on a complete volume: exit {code}: {err}"
    if state == "unfinished" and code != 0:
        return f"create does not complete it: exit {code}: {err}"
    if code == 5 and "not blank" in err:
        return None
    if code != 0:
        return f"create: exit {code}: {err}"
    code, out, err = run("dump", "--json", path)
    if code or json.loads(out)["unfinished"]:
        return f"created anew, but dump: exit {code}: {err}"
    return None


def states(entries):
    """(what, writes, complete) of each state."""
    written, unflushed = [], []
    total = sum(1 for e in entries if e)
    for e in entries:
        if e is None:
            unflushed = []
            continue
        n = len(written)
        yield f"after {n} of {total} writes", list(written), None
        # wiping is one long run of large, equal writes: their prefixes are enough
        wipes = len(e[1]) >= 1 << 19
        half = 0 if wipes else len(e[1]) // 2 // 512 * 512
        if half:
            yield f"in the middle of write {n + 1}", written + [(e[0], e[1][:half])], None
        written.append(e)
        if not wipes:
            unflushed.append(n)
        for lost in unflushed[:-1]:
            yield f"write {lost + 1} lost before {n + 1}", written[:lost] + written[lost + 1:], None
    yield "after all writes", written, True


seen = {}
judged = set()
entries = list(parse())
token = b'"type":"kcache"'


def has_token(writes):
    return any(token in payload for _, payload in writes)


failed = count = 0
for what, writes, complete in states(entries):
    count += 1
    # the token may be there in the first copy alone: that is a volume
    wrong = judge(writes, complete if complete else None if has_token(writes) else False)
    if wrong:
        failed += 1
        print(f"not ok - power cut {what}: {wrong}")
print(f"# {count} states, {len(judged)} of them different; (dump, create's exit code): {seen}")
if count < 20 or not any(s == "unfinished" for s, _ in seen):
    print(f"not ok - the recording holds a whole create ({count} states)")
    failed += 1
if not failed:
    print(f"ok - a power cut at any of {count} points of create leaves a clear answer and no half volume")
sys.exit(1 if failed else 0)
