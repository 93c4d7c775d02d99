# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what the kernel tells the world: uevents or audit records, one a line.

    listen.py uevent|audit TEXT SECONDS

Says "listening" first. Ends with the first one that holds TEXT, or when time is
up.
"""
import socket
import sys
import time

# protocol and multicast group: NETLINK_KOBJECT_UEVENT; NETLINK_AUDIT, READLOG
SOURCES = {"uevent": (15, 1), "audit": (9, 1)}


def main(source, text, seconds):
    protocol, group = SOURCES[source]
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, protocol)
    s.bind((0, group))
    print("listening", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            data = s.recv(16384)
        except socket.timeout:
            break
        line = data.decode("latin1").replace("\0", " ")
        if text in line:
            print(line, flush=True)
            return


main(*sys.argv[1:])
