#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""type.py PROMPT TEXT COMMAND...: runs it at a terminal of its own, types TEXT when it shows PROMPT.

Prints what the terminal showed, then the exit code on a line of its own."""
import os
import pty
import sys

prompt, text = sys.argv[1].encode(), sys.argv[2].encode()
pid, terminal = pty.fork()
if not pid:
    os.execvp(sys.argv[3], sys.argv[3:])
shown, typed = b"", False
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if not typed and prompt in shown:
        os.write(terminal, text + b"\n")
        typed = True
sys.stdout.buffer.write(shown)
print(f"\nexit {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
