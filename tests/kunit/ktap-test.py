#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ktap.py against logs that are good and logs that must not pass for good."""
import sys

import ktap

GOOD = """\
[    1.000000] unrelated
[    2.000000] KTAP version 1
[    2.000001] 1..2
    # Subtest: first
    1..2
[    2.1] device-mapper: kcache: a line of the kernel in between
    ok 1 - a
    # b: 7 things
    ok 2 - b
# first: pass:2 fail:0 skip:0 total:2
ok 1 - first
    # Subtest: second
    1..1
    ok 1 - c
ok 2 - second
"""

# what is said of it; how the good log is spoilt; how many still pass
BAD = [
    ("an empty log", lambda t: "", 0),
    ("no header", lambda t: t.replace("KTAP version 1", "tests"), 0),
    ("no plan", lambda t: t.replace("[    2.000001] 1..2\n", ""), 3),
    ("a plan of nothing", lambda t: t.replace("[    2.000001] 1..2", "1..0"), 3),
    ("a second plan", lambda t: t.replace("] 1..2\n", "] 1..2\n1..2\n"), 3),
    ("the kernel's own empty plan alone", lambda t: "KTAP version 1\n1..0\n", 0),
    ("a second header", lambda t: t + "KTAP version 1\n", 3),
    ("a suite without a plan", lambda t: t.replace("    1..2\n", ""), 1),
    ("a test that failed", lambda t: t.replace("    ok 2 - b", "    not ok 2 - b"), 2),
    ("a suite that failed", lambda t: t.replace("ok 1 - first", "not ok 1 - first"), 3),
    ("a failed test in a suite that says ok",
     lambda t: t.replace("    ok 1 - c", "    not ok 1 - c"), 2),
    ("a test that is missing", lambda t: t.replace("    ok 2 - b\n", ""), 2),
    ("the first test missing", lambda t: t.replace("    ok 1 - a\n", ""), 1),
    ("a test more than planned", lambda t: t.replace("    ok 2 - b\n", "    ok 2 - b\n    ok 3 - d\n"), 3),
    ("a test twice", lambda t: t.replace("    ok 2 - b\n", "    ok 2 - b\n    ok 2 - b\n"), 3),
    ("a misnumbered test", lambda t: t.replace("    ok 2 - b", "    ok 3 - b"), 2),
    ("a number twice", lambda t: t.replace("    ok 2 - b", "    ok 1 - b"), 2),
    ("a skipped test", lambda t: t.replace("    ok 2 - b", "    ok 2 - b # SKIP no such thing"), 2),
    ("a test that is to be done", lambda t: t.replace("    ok 2 - b", "    ok 2 - b # TODO later"), 2),
    ("a skipped suite", lambda t: t.replace("ok 2 - second", "ok 2 - second # SKIP"), 3),
    ("a suite that is missing", lambda t: t[: t.index("    # Subtest: second")], 2),
    ("a suite more than planned",
     lambda t: t + "    # Subtest: third\n    1..1\n    ok 1 - e\nok 3 - third\n", 4),
    ("a suite twice",
     lambda t: t.replace("] 1..2\n", "] 1..3\n") + "    # Subtest: second\n    1..1\n    ok 1 - c\nok 3 - second\n", 4),
    ("a misnumbered suite", lambda t: t.replace("ok 2 - second", "ok 3 - second"), 3),
    ("a suite's result missing", lambda t: t.replace("ok 1 - first\n", ""), 3),
    ("a result of another suite", lambda t: t.replace("ok 1 - first", "ok 1 - firsT"), 3),
    ("a log cut off in a suite", lambda t: t[: t.index("    ok 2 - b")], 1),
    ("a log cut off in a line", lambda t: t[: t.index(" - c")], 2),
    ("a log cut off before the last result", lambda t: t[: t.index("ok 2 - second")], 3),
    ("a garbled result", lambda t: t.replace("    ok 2 - b", "    ok two b"), 1 + 1),
]

FORMS = [
    ("a log in which the kernel's own empty plan stands", "KTAP version 1\n1..0\n" + GOOD, 3),
    ("the log of Linux 6.1", GOOD, 3),
    ("the log of a later kernel",
     GOOD.replace(" - ", " ").replace("    # Subtest", "    KTAP version 1\n    # Subtest"), 3),
]


def main():
    passed = failed = 0
    for what, text, good in FORMS:
        r = ktap.read(text.splitlines())
        ok = not r.failures and r.passed == good
        print(f"{'ok' if ok else 'not ok'} - ktap: {what} is read")
        passed, failed = passed + ok, failed + (not ok)
        if not ok:
            print(f"    | {r.passed} passed, {r.failures}")
    for what, spoil, good in BAD:
        text = spoil(GOOD)
        r = ktap.read(text.splitlines())
        ok = text != GOOD and bool(r.failures) and r.passed == good
        print(f"{'ok' if ok else 'not ok'} - ktap: {what} is a failure")
        passed, failed = passed + ok, failed + (not ok)
        if not ok:
            print(f"    | {r.passed} passed, not {good}; {r.failures}")
    print(f"ktap: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
