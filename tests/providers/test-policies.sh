#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The IAM policies of Documentation/iam: JSON, made of statements that IAM knows, and
# of actions that the service has by its own published model (botocore's copy of it).
exec /usr/bin/python3 - "${top:-.}/Documentation/iam" <<'EOF'
import glob
import gzip
import json
import os
import sys

import botocore

failed = []


def check(ok, sentence):
    print(("ok" if ok else "not ok") + " - " + sentence)
    if not ok:
        failed.append(sentence)


def actions_of(statement):
    a = statement["Action"]
    return [a] if isinstance(a, str) else a


def model():
    (path,) = glob.glob(os.path.join(os.path.dirname(botocore.__file__), "data/kms/*/service-2.json*"))
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        operations = set(json.load(f)["operations"])
    # of this one operation IAM makes two actions: the key it is for, and the key it was for
    operations.remove("ReEncrypt")
    # and one is of 2024, later than the copy in Debian 12
    return operations | {"ReEncryptFrom", "ReEncryptTo", "RotateKeyOnDemand"}


known = model()
allowed = {}
for name in ("attach", "create", "admin"):
    with open(f"{sys.argv[1]}/{name}.json") as f:
        policy = json.load(f)
    statements = policy["Statement"]
    check(policy["Version"] == "2012-10-17" and set(policy) == {"Version", "Statement"}, f"{name}: of IAM's version")
    check(all(set(s) <= {"Sid", "Effect", "Action", "Resource", "Condition"} and s["Effect"] == "Allow"
              for s in statements), f"{name}: statements that allow")
    allowed[name] = {a for s in statements for a in actions_of(s)}
    unknown = sorted(a for a in allowed[name] if not a.startswith("kms:") or a[4:] not in known)
    check(not unknown, f"{name}: every action is one of the service's: {len(allowed[name])}" + "".join(unknown))
    # whoever uses a data key does so for volumes only
    uses = [s for s in statements if set(actions_of(s)) & {
        "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"}]
    check(all("kms:EncryptionContext:kcache:id" in json.dumps(s.get("Condition", {})) for s in uses),
          f"{name}: keys are used with a volume's context only")

check(allowed["attach"] == {"kms:Decrypt", "kms:DescribeKey"}, "a host that attaches may unwrap, and ask why not")
wraps = {"kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"}
check(not allowed["attach"] & wraps, "it cannot make a wrapped key that another host would unwrap")
check("kms:Decrypt" not in allowed["admin"], "an administrator of keys cannot unwrap with them")
sys.exit(bool(failed))
EOF
