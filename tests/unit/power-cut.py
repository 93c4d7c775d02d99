#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A power cut at any point of create, or of a change of the header, on a plain file.

  power-cut.py create KCACHE CONFIG LOG SIZE WORKDIR
  power-cut.py update KCACHE CONFIG LOG BEFORE WORKDIR PROGRAM
  power-cut.py change KCACHE CONFIG LOG BEFORE WORKDIR KNOWN KNOWN-BEFORE KEY,... VERB...
  power-cut.py clone KCACHE CONFIG LOG BEFORE WORKDIR KEY,... VERB...
  power-cut.py adopt KCACHE CONFIG LOG BEFORE WORKDIR PASSPHRASE-FILE

LOG is what record-writes.c recorded of one create on an empty file of SIZE
bytes, or of one "PROGRAM FILE update" (header-update-main.c) on a copy of BEFORE,
or of one "kcache VERB..." (FILE in it is the volume) that has left recipients KEY,...
and KNOWN, what this host knows of the volume, which was KNOWN-BEFORE; or of one
"kcache clone FILE ...", on a copy of BEFORE that has recipients KEY,... .
Or of an adoption of BEFORE, a LUKS2 volume that PASSPHRASE-FILE opens.
Every state that a power cut could have left is rebuilt: each prefix of the writes;
each prefix and half of the next write; and, because a disk may reorder what was
not flushed, each prefix with one write missing that no flush followed.

On each of create's:

  * dump says clearly what it is: exit 0 (complete, or unfinished) or 4 (nothing
    there) or 8 (does not hold); complete only if create had written its token
  * attach says in one line, with exit code 4 or 8, that it is no volume; only of a
    complete one it may complain that this machine cannot map it, or map it
  * create, without --force, either completes (exit 0) or refuses a device that
    is not blank (exit 5); what is complete is never made anew

On each of an update's:

  * the header loads, and holds the old token, both, or the new one, each of which
    the volume's key knows as it was written
  * dump says the same of their number
  * the update, run again, brings it to its end: the new token alone

On each of a change's:

  * dump has the recipients from before, those from after, or both; where all from
    before are there, this host may know no more than it did before
  * attach finds a recipient that opens the volume, up to what this machine cannot map
  * the verb, run again, brings it to its end, or says that it is there already

On each of an adoption's:

  * dump says that it is a volume of ours, and attach finds a KMS that opens it; or it is none of
    ours, and the old passphrase opens it
  * adopt, run again, brings it to its end: ours, and the old passphrase opens it no more
  * of the old keyslots nothing is left then

On each of a clone's:

  * dump has the UUID from before or that from after, with all recipients bound to it
  * attach finds the volume, up to what this machine cannot map, by each recipient
  * the verb, run again, makes a volume of its own of it, whose header is whole

Prints "ok - ..." and "not ok - ..." lines.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys

what_is_cut, kcache, config, log, start, work = sys.argv[1:7]
size = int(start) if what_is_cut == "create" else os.path.getsize(start)


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
    if what_is_cut != "create":
        shutil.copyfile(start, path)
    with open(path, "r+b" if what_is_cut != "create" else "w+b") as f:
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


def judge_create(writes, complete):
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


def program(verb, path):
    p = subprocess.run([sys.argv[7], path, verb], capture_output=True, text=True, check=False)
    return p.returncode, p.stdout.split(), p.stderr.strip()


def judge_update(writes, complete):
    """None, or what is wrong with this state."""
    path, digest = image(writes, "cut.img")
    if (digest, complete) in judged:
        return None
    judged.add((digest, complete))
    code, tokens, err = program("check", path)
    if code or tokens not in (["old"], ["old", "new"], ["new"]):
        return f"the header does not hold: exit {code}, tokens {tokens}: {err}"
    if complete and tokens != ["new"]:
        return f"written to the end, but the tokens are {tokens}"
    code, out, err = run("dump", "--json", path)
    if code or len(json.loads(out)["recipients"]) != len(tokens):
        return f"dump of {tokens}: exit {code}: {err}"
    seen[" and ".join(tokens), code] = seen.get((" and ".join(tokens), code), 0) + 1
    code, _, err = program("update", path)
    if code:
        return f"the update does not go on from {tokens}: exit {code}: {err}"
    code, after, err = program("check", path)
    if code or after != ["new"]:
        return f"the update went on from {tokens} to {after}: exit {code}: {err}"
    return None


def recipients(path):
    code, out, err = run("dump", "--json", path)
    if code:
        return None, f"dump: exit {code}: {err}"
    return sorted(r["key"] for r in json.loads(out)["recipients"]), None


def judge_change(writes, complete):
    """None, or what is wrong with this state."""
    path, digest = image(writes, "cut.img")
    if (digest, complete) in judged:
        return None
    judged.add((digest, complete))
    there, wrong = recipients(path)
    if wrong:
        return wrong
    state = "before" if there == before else "after" if there == after else "both"
    if state == "both" and there != sorted(set(before) | set(after)) or complete and state != "after":
        return f"the recipients are {there}"
    with open(known, "wb") as f:
        f.write(known_after if state == "after" else known_before)
    wrong = attach(path, "complete")
    if wrong:
        return wrong
    code, _, err = run(*[path if w == "FILE" else w for w in verb])
    seen[state, code] = seen.get((state, code), 0) + 1
    done = {"add": 5, "remove": 1}.get(verb[1], 0) if state == "after" else 0
    if code != done:
        return f"run again from {state}: exit {code}: {err}"
    there, wrong = recipients(path)
    return wrong or (None if there == after else f"run again from {state}, the recipients are {there}") or \
        attach(path, "complete")


def identity(path):
    """UUID, recipients and damaged copy, as dump has them; or what is wrong."""
    code, out, err = run("dump", "--json", path)
    if code:
        return None, f"dump: exit {code}: {err}"
    found = json.loads(out)
    keys = sorted(r["key"] for r in found["recipients"])
    if keys != after:
        return None, f"the recipients are {keys}"
    for r in found["recipients"]:
        if r["context"]["kcache:id"] != found["uuid"] or r["context"]["kcache:layout"] != found["layout"]:
            return None, f"{r['key']} is bound to {r['context']}, the volume is {found['uuid']}"
    return found, None


def judge_clone(writes, complete):
    """None, or what is wrong with this state."""
    path, digest = image(writes, "cut.img")
    if (digest, complete) in judged:
        return None
    judged.add((digest, complete))
    found, wrong = identity(path)
    if wrong:
        return wrong
    state = "before" if found["uuid"] == before["uuid"] else "after"
    if complete and (state == "before" or found["damaged_copy"]):
        return f"written to the end, but it is {found['uuid']}, damaged copy {found['damaged_copy']}"
    for key in after:
        code, _, err = run("attach", path, "power-cut-test", "--key", key)
        if code == 0:
            run("detach", "power-cut-test")
        elif "device-mapper" not in err and "loop device" not in err:
            return f"attach of what is {state}, by {key}: exit {code}: {err}"
    wrong = attach(path, "complete")
    if wrong:
        return wrong
    code, _, err = run(*[path if w == "FILE" else w for w in verb])
    seen[state, code] = seen.get((state, code), 0) + 1
    if code:
        return f"run again from {state}: exit {code}: {err}"
    again, wrong = identity(path)
    if wrong:
        return f"run again from {state}: {wrong}"
    if again["uuid"] in (found["uuid"], before["uuid"]) or again["damaged_copy"]:
        return f"run again from {state}: UUID {again['uuid']}, damaged copy {again['damaged_copy']}"
    return attach(path, "complete")


def old_passphrase(path):
    p = subprocess.run(["cryptsetup", "open", "--test-passphrase", "--disable-external-tokens", "-q", "--key-file",
                        sys.argv[7], path], capture_output=True, check=False)
    return p.returncode == 0


def is_ours(path):
    code, out, err = run("dump", "--json", path)
    if code == 0:
        return not json.loads(out)["unfinished"], None
    return False, None if code == 4 else f"dump: exit {code}: {err}"


def judge_adopt(writes, complete):
    """None, or what is wrong with this state."""
    path, digest = image(writes, "cut.img")
    if (digest, complete) in judged:
        return None
    judged.add((digest, complete))
    ours, wrong = is_ours(path)
    if wrong:
        return wrong
    if not ours and (complete or not old_passphrase(path)):
        return "neither the KMS nor the old passphrase opens it"
    wrong = ours and attach(path, "complete")
    if wrong:
        return wrong
    state = "ours" if ours else "luks"
    code, _, err = run("adopt", path, "--force", "--passphrase-file", sys.argv[7])
    seen[state, code] = seen.get((state, code), 0) + 1
    if code:
        return f"run again from {state}: exit {code}: {err}"
    ours, wrong = is_ours(path)
    if wrong or not ours or old_passphrase(path):
        return f"run again from {state}: {wrong or 'it is not adopted'}"
    with open(path, "rb") as f:
        head = f.read(16 << 20)
    if any(piece in head for piece in old_material):
        return f"run again from {state}: a part of an old keyslot is left"
    return attach(path, "complete")


def keyslot_pieces():
    """Of each keyslot of BEFORE, some 32 bytes that must not be found any more."""
    with open(start, "rb") as f:
        data = f.read(16 << 20)
    meta = json.loads(data[4096:16384].split(b"\0")[0])
    return [data[int(k["area"]["offset"]) + at:][:32] for k in meta["keyslots"].values()
            for at in (0, 100000, 200000, 255000)]


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
        # a header copy in one write: its text ends long before its middle
        for part in (512, 4096) if what_is_cut == "clone" else ():
            yield f"{part} bytes into write {n + 1}", written + [(e[0], e[1][:part])], None
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
if what_is_cut == "change":
    known, after, verb = sys.argv[7], sorted(sys.argv[9].split(",")), sys.argv[10:]
    known_before, known_after = (open(f, "rb").read() for f in (sys.argv[8], known))
    before, wrong = recipients(start)
    if wrong:
        sys.exit(wrong)
if what_is_cut == "clone":
    after, verb = sorted(sys.argv[7].split(",")), sys.argv[8:]
    before, wrong = identity(start)
    if wrong:
        sys.exit(wrong)
if what_is_cut == "adopt":
    old_material = keyslot_pieces()
for what, writes, complete in states(entries):
    count += 1
    if what_is_cut == "change":
        wrong = judge_change(writes, complete)
    elif what_is_cut == "clone":
        wrong = judge_clone(writes, complete)
    elif what_is_cut == "adopt":
        wrong = judge_adopt(writes, complete)
    elif what_is_cut == "update":
        wrong = judge_update(writes, complete)
    else:
        # the token may be there in the first copy alone: that is a volume
        wrong = judge_create(writes, complete if complete else None if has_token(writes) else False)
    if wrong:
        failed += 1
        print(f"not ok - power cut {what}: {wrong}")
print(f"# {count} states, {len(judged)} of them different; (what it is, exit code): {seen}")
wanted = {"create": {"unfinished", "complete"}, "update": {"old", "old and new", "new"},
          "change": {"before", "after"}, "adopt": {"luks", "ours"},
          "clone": {"before", "after"}}[what_is_cut]
# a clone's are two, each with its flush
if count < {"change": 12, "clone": 9}.get(what_is_cut, 20) or not wanted <= {s for s, _ in seen}:
    print(f"not ok - the recording holds all of it ({count} states)")
    failed += 1
if not failed:
    left = {"create": "a clear answer and no half volume", "update": "a volume with a token that holds",
            "change": "a volume that attaches, and the same again ends it",
            "adopt": "what the old passphrase or the KMS opens, and the same again ends it",
            "clone": "the bit copy or the clone, which attaches"}[what_is_cut]
    name = " ".join(verb[:2]).removesuffix(" FILE") if what_is_cut == "change" else what_is_cut
    print(f"ok - a power cut at any of {count} points of {name} leaves {left}")
sys.exit(1 if failed else 0)
