#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A key helper of provider aws, for tests of what goes on between two providers.

Its keys are every canonical key id there is. A wrapped DEK is the DEK, xored with a
hash of key and context. What it does beside that is in a file of its own name with
.mode behind it, a word a line:

  reencrypt      it has ReEncrypt, which it else does not know
  slow OP        does not answer OP
  refuse OP      answers OP with DisabledException
  other          Decrypt gives another DEK than was wrapped
  disabled       all of its keys are
"""
import base64
import hashlib
import json
import mmap
import os
import socket
import sys
import time

ME = socket.socket(fileno=3)
DEK = mmap.mmap(4, 64)
try:
    with open(sys.argv[0] + ".mode", encoding="ascii") as f:
        MODE = f.read().split("\n")
except FileNotFoundError:
    MODE = []


def xored(data, binding):
    name = json.dumps([binding["key"], binding["context"]], sort_keys=True).encode()
    return bytes(a ^ b for a, b in zip(data, hashlib.sha512(name).digest()))


def error(name, code, text):
    return {"error": {"name": name, "code": code, "text": text, "next": ""}}


def answer(op, p):
    if "slow " + op in MODE:
        time.sleep(1000)
    if "refuse " + op in MODE:
        return error("DisabledException", 7, "it is disabled")
    if op == "Open":
        return {"result": {}}
    if op == "DescribeKey":
        return {"result": {"provider": "aws", "key": p["key"], "version": 1, "created": "", "deletion": "",
                           "description": "", "state": "Disabled" if "disabled" in MODE else "Enabled"}}
    if op == "Encrypt":
        wrapped = xored(DEK[:64], p["binding"])
        DEK[:64] = bytes(64)
        return {"result": {"key": p["binding"]["key"], "wrapped": base64.b64encode(wrapped).decode()}}
    if op == "Decrypt":
        dek = xored(base64.b64decode(p["wrapped"]), p["binding"])
        DEK[:64] = bytes(range(64)) if "other" in MODE else dek
        return {"result": {"key": p["binding"]["key"], "length": 64}}
    if op == "ReEncrypt" and "reencrypt" in MODE:
        dek = xored(base64.b64decode(p["wrapped"]), p["source"])
        wrapped = base64.b64encode(xored(dek, p["destination"])).decode()
        return {"result": {"key": p["destination"]["key"], "wrapped": wrapped}}
    return error("UnsupportedOperationException", 1, "no " + op)


while True:
    request = ME.recv(65536)
    if not request:
        sys.exit(0)
    q = json.loads(request)
    a = {"id": q["id"], "request_id": "fake-" + str(os.getpid())}
    a.update(answer(q["operation"], q["params"]))
    ME.send(json.dumps(a).encode())
