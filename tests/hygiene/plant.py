#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Holds a key that is no volume's in memory, for the search to find: as it is, or
in all forms that are text or simple to compute.

    plant.py KEYFILE raw|all
"""
import base64
import hashlib
import hmac
import sys
import time

with open(sys.argv[1], "rb") as f:
    key = f.read()
held = [key * 1024]
if sys.argv[2] == "all":
    # HKDF-SHA256 (RFC 5869) with the info of keyslot 0
    prk = hmac.new(bytes(32), key, hashlib.sha256).digest()
    info = b"kcache keyslot v1"
    one = hmac.new(prk, info + b"\x01", hashlib.sha256).digest()
    two = hmac.new(prk, one + info + b"\x02", hashlib.sha256).digest()
    held += [key.hex(), key.hex().upper(), (one + two).hex()]
    held += [base64.b64encode(b"x" * n + key).decode() for n in range(3)]
    held += [bytes(b ^ pad for b in key) for pad in (0x36, 0x5C)]
    held += [b"".join(key[i:i + 4][::-1] for i in range(0, 64, 4))]
with open("/tmp/planted" + ("" if sys.argv[2] == "all" else ".raw"), "w", encoding="ascii"):
    pass
while held:
    time.sleep(1)
