# SPDX-License-Identifier: GPL-2.0-or-later
"""The fake KMS itself: signatures against two clients that are not ours (the AWS
command line and curl), states, contexts, grants, policies, and that every way
to go wrong does go wrong. Prints "ok - sentence" lines and a count.
"""
import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import fakekms
import sigv4

HERE = os.path.dirname(os.path.abspath(__file__))
REGION = "eu-central-1"
ADMIN = sigv4.Principal(fakekms.ADMIN, "AKIAIOSFODNN7EXAMPLE", fakekms.SECRET)
HOST = sigv4.Principal(fakekms.HOST, "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
passed = failed = 0


def check(sentence, holds):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
    print("ok" if holds else "not ok", "-", sentence, flush=True)


def b64(data):
    return base64.b64encode(data).decode()


class Fake:
    def __init__(self, *args):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "fakekms.py"), *args],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.home = tempfile.TemporaryDirectory()  # the AWS command line makes folders there
        self.url = f"http{'s' if '--tls' in args else ''}://127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()

    def control(self, **want):
        r = urllib.request.Request(self.url + "/control", json.dumps(want).encode(), method="POST")
        with urllib.request.urlopen(r, timeout=10) as f:
            return json.load(f)

    def raw(self, operation, params, who=ADMIN, region=REGION, timeout=5, now=None):
        """(status, headers, body)"""
        body = json.dumps(params).encode()
        headers = sigv4.sign(who, region, "kms", "POST", "/", {
            "Host": f"127.0.0.1:{self.port}", "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}"}, body, now)
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request("POST", "/", body, headers)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def call(self, operation, **params):
        """The answer, or the error's (status, name, message)."""
        where = {k: params.pop(k) for k in ("who", "region", "now") if k in params}
        status, headers, body = self.raw(operation, params, **where)
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-RequestId"])
        answer = json.loads(body) if body else {}
        return answer if status == 200 else (status, answer["__type"], answer.get("message"))

    def name(self, operation, **params):
        answer = self.call(operation, **params)
        return answer[1] if isinstance(answer, tuple) else "good"

    def key(self, **params):
        return self.call("CreateKey", **params)["KeyMetadata"]["Arn"]


def aws(fake, *args):
    env = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": ADMIN.access_key, "AWS_SECRET_ACCESS_KEY": ADMIN.secret,
           "AWS_DEFAULT_REGION": REGION, "AWS_MAX_ATTEMPTS": "1", "HOME": fake.home.name,
           "AWS_EC2_METADATA_DISABLED": "true"}
    r = subprocess.run(["/usr/bin/aws", "kms", *args, "--endpoint-url", fake.url, "--output", "json"], env=env,
                       capture_output=True, text=True)
    return json.loads(r.stdout) if r.returncode == 0 and r.stdout else r.stderr


def strangers(fake):
    key = aws(fake, "create-key", "--description", "by the AWS command line")["KeyMetadata"]["Arn"]
    made = aws(fake, "generate-data-key-without-plaintext", "--key-id", key, "--number-of-bytes", "64",
               "--encryption-context", "a=b,c=d")
    answer = fake.call("Decrypt", CiphertextBlob=made["CiphertextBlob"], KeyId=key,
                       EncryptionContext={"c": "d", "a": "b"})
    check("a data key made by the AWS command line has 64 bytes", len(base64.b64decode(answer["Plaintext"])) == 64)
    check("the AWS command line reads a key's dates",
          aws(fake, "describe-key", "--key-id", key)["KeyMetadata"]["CreationDate"].startswith("20"))
    fake.control(state={key: "Disabled"})
    check("and reads an error", re.search(r"DisabledException.*" + key + " is disabled", aws(
        fake, "encrypt", "--key-id", key, "--plaintext", "AAAA")))
    r = subprocess.run(["curl", "-s", "--aws-sigv4", f"aws:amz:{REGION}:kms", "-K", "-", "-d", "{}",
                        "-H", "X-Amz-Target: TrentService.ListKeys", "-H", "Content-Type: application/x-amz-json-1.1",
                        fake.url], input=f'user = "{ADMIN.access_key}:{ADMIN.secret}"\n', capture_output=True, text=True)
    check("curl's signature is right too", key in r.stdout)


def signatures(fake):
    wrong = sigv4.Principal("", ADMIN.access_key, "another secret")
    check("a wrong secret is refused", fake.name("ListKeys", who=wrong) == "InvalidSignatureException")
    nobody = sigv4.Principal("", "AKIANOBODY", "x")
    check("an unknown access key is refused", fake.name("ListKeys", who=nobody) == "UnrecognizedClientException")
    fake.control(skew=3600)
    status, name, message = fake.call("ListKeys")
    check("a clock that is behind: Signature expired",
          (status, name) == (400, "InvalidSignatureException") and message.startswith("Signature expired: "))
    fake.control(skew=-3600)
    check("a clock that is ahead: Signature not yet current",
          fake.call("ListKeys")[2].startswith("Signature not yet current: "))
    fake.control(skew=0)
    fake.control(credentials={"access_key": "ASIATEMP", "secret": "s", "token": "t", "arn": "arn:aws:sts::1:x",
                              "expires_in": 0.3, "admin": True})
    temporary = sigv4.Principal("", "ASIATEMP", "s", "t")
    check("temporary credentials are good for a while", fake.name("ListKeys", who=temporary) == "good")
    time.sleep(0.4)
    check("and then expired", fake.name("ListKeys", who=temporary) == "ExpiredTokenException")
    without = sigv4.Principal("", "ASIATEMP", "s")
    check("without their session token they are nobody's",
          fake.name("ListKeys", who=without) == "UnrecognizedClientException")


def states(fake):
    key = fake.key()
    context = {"kcache:id": "1"}
    dek = fake.call("GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=64, EncryptionContext=context)
    args = {"CiphertextBlob": dek["CiphertextBlob"], "KeyId": key}
    check("the right context opens it", fake.name("Decrypt", EncryptionContext=context, **args) == "good")
    check("another context is InvalidCiphertextException without a message",
          fake.call("Decrypt", EncryptionContext={"kcache:id": "2"}, **args) ==
          (400, "InvalidCiphertextException", None))
    blob = bytearray(base64.b64decode(dek["CiphertextBlob"]))
    for at in (40, 52, len(blob) - 1):
        blob[at] ^= 1
        check(f"so is a blob with byte {at} changed",
              fake.name("Decrypt", CiphertextBlob=b64(blob), KeyId=key, EncryptionContext=context) ==
              "InvalidCiphertextException")
        blob[at] ^= 1
    other = fake.key()
    check("another key is IncorrectKeyException", fake.name(
        "Decrypt", CiphertextBlob=dek["CiphertextBlob"], KeyId=other, EncryptionContext=context) ==
        "IncorrectKeyException")
    for state, name, text in (("Disabled", "DisabledException", "is disabled."),
                              ("PendingDeletion", "KMSInvalidStateException", "is pending deletion."),
                              ("PendingImport", "KMSInvalidStateException", "is pending import."),
                              ("Unavailable", "KMSInvalidStateException", "is unavailable.")):
        fake.control(state={key: state})
        check(f"a key that {text[:-1]} says so", fake.call("Decrypt", EncryptionContext=context, **args) ==
              (400, name, f"{key} {text}"))
        check("and DescribeKey knows it", fake.call("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == state)
    fake.control(state={key: "Enabled"})
    fake.call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    body = fake.raw("DescribeKey", {"KeyId": key})[2].decode()
    check("a deletion date is written as AWS does", re.search(r'"DeletionDate":1\.\d+E9', body))
    fake.call("CancelKeyDeletion", KeyId=key)
    check("a cancelled deletion leaves the key disabled", fake.name("Decrypt", EncryptionContext=context, **args) ==
          "DisabledException")
    fake.call("EnableKey", KeyId=key)
    fake.call("RotateKeyOnDemand", KeyId=key)
    check("after a rotation old blobs open", fake.name("Decrypt", EncryptionContext=context, **args) == "good")
    again = fake.call("ReEncrypt", CiphertextBlob=dek["CiphertextBlob"], SourceKeyId=key,
                      SourceEncryptionContext=context, DestinationKeyId=other,
                      DestinationEncryptionContext={"kcache:id": "3"})
    check("ReEncrypt moves it to another key and context",
          again["KeyId"] == other and fake.name("Decrypt", CiphertextBlob=again["CiphertextBlob"], KeyId=other,
                                                EncryptionContext={"kcache:id": "3"}) == "good")
    check("another region knows nothing of the key", fake.name("DescribeKey", KeyId=key, region="us-east-1") ==
          "NotFoundException")
    check("DryRun is an error that says it would have worked",
          fake.name("Decrypt", EncryptionContext=context, DryRun=True, **args) == "DryRunOperationException")
    fake.control(delete=key)
    check("a deleted key is not found", fake.call("Decrypt", EncryptionContext=context, **args)[1:] ==
          ("NotFoundException", f"Key '{key}' does not exist"))


def administration(fake):
    key = fake.key(Description="x")
    check("an alias is made", fake.name("CreateAlias", AliasName="alias/t", TargetKeyId=key) == "good")
    check("a second time it is there already",
          fake.name("CreateAlias", AliasName="alias/t", TargetKeyId=key) == "AlreadyExistsException")
    check("and leads to the key", fake.call("DescribeKey", KeyId="alias/t")["KeyMetadata"]["Arn"] == key)
    names = [a["AliasName"] for a in fake.call("ListAliases", KeyId=key)["Aliases"]]
    check("and is listed", names == ["alias/t"])
    page = fake.call("ListKeys", Limit=1)
    check("lists have pages", page["Truncated"] and len(page["Keys"]) == 1 and
          fake.call("ListKeys", Limit=1, Marker=page["NextMarker"])["Keys"] != page["Keys"])
    check("alias/aws/ebs is AWS's own", fake.call("DescribeKey", KeyId="alias/aws/ebs")["KeyMetadata"]["KeyManager"] ==
          "AWS")
    replica = fake.key(MultiRegion=True)
    blob = fake.call("Encrypt", KeyId=replica, Plaintext="AAAA")["CiphertextBlob"]
    fake.call("ReplicateKey", KeyId=replica, ReplicaRegion="us-east-1")
    check("a replica opens in its region what the primary wrapped",
          fake.call("Decrypt", CiphertextBlob=blob, KeyId=replica.replace(REGION, "us-east-1"),
                    region="us-east-1")["Plaintext"] == "AAAA")
    check("an RSA key is not for this", fake.name(
        "GenerateDataKeyWithoutPlaintext", KeyId=fake.key(KeySpec="RSA_2048"), NumberOfBytes=64) ==
        "InvalidKeyUsageException")
    key = fake.key(Origin="EXTERNAL")
    p = fake.call("GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256",
                  WrappingKeySpec="RSA_2048")
    with tempfile.NamedTemporaryFile() as f:
        f.write(base64.b64decode(p["PublicKey"]))
        f.flush()
        wrapped = subprocess.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", f.name, "-keyform", "DER",
                                  "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"],
                                 input=bytes(range(32)), capture_output=True, check=True).stdout
    check("own material is imported", fake.name(
        "ImportKeyMaterial", KeyId=key, ImportToken=p["ImportToken"], EncryptedKeyMaterial=b64(wrapped),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE") == "good" and
        fake.name("Encrypt", KeyId=key, Plaintext="AAAA") == "good")


def permissions(fake):
    key = fake.key()
    context = {"kcache:id": "1"}
    blob = fake.call("Encrypt", KeyId=key, Plaintext="AAAA", EncryptionContext=context)["CiphertextBlob"]
    args = {"CiphertextBlob": blob, "KeyId": key, "EncryptionContext": context, "who": HOST}
    status, name, message = fake.call("Decrypt", **args)
    check("a host without a grant is denied, and told who he is",
          (status, name) == (400, "AccessDeniedException") and fakekms.HOST in message)
    fake.control(propagation=60)
    grant = fake.call("CreateGrant", KeyId=key, GranteePrincipal=fakekms.HOST, Operations=["Decrypt", "RetireGrant"],
                      Constraints={"EncryptionContextSubset": context})
    check("a new grant is not known everywhere", fake.name("Decrypt", **args) == "AccessDeniedException")
    token = {"GrantTokens": [grant["GrantToken"]]}
    check("but with its token it is", fake.name("Decrypt", **args, **token) == "good")
    check("for its operations only", fake.name("Encrypt", KeyId=key, Plaintext="AAAA", EncryptionContext=context,
                                               who=HOST, **token) == "AccessDeniedException")
    check("and for its context only", fake.name("Decrypt", **args | {"EncryptionContext": {}}, **token) ==
          "AccessDeniedException")
    check("a token of no grant is refused", fake.name("Decrypt", **args, GrantTokens=["x"]) ==
          "InvalidGrantTokenException")
    check("the grantee retires it", fake.name("RetireGrant", GrantToken=grant["GrantToken"], who=HOST) == "good" and
          fake.call("ListGrants", KeyId=key)["Grants"] == [])
    policy = json.loads(fake.call("GetKeyPolicy", KeyId=key)["Policy"])
    policy["Statement"].append({"Effect": "Deny", "Principal": {"AWS": fakekms.ADMIN}, "Action": "kms:Decrypt",
                                "Resource": "*"})
    fake.call("PutKeyPolicy", KeyId=key, Policy=json.dumps(policy))
    check("a policy denies", fake.name("Decrypt", **args | {"who": ADMIN}) == "AccessDeniedException")
    key = fake.key()
    fake.control(deny=key)
    check("so does control", fake.name("Encrypt", KeyId=key, Plaintext="AAAA") == "AccessDeniedException")
    fake.control(allow=key)
    check("and lets in again", fake.name("Encrypt", KeyId=key, Plaintext="AAAA") == "good")


def drop_by_drop(fake, args):
    try:
        fake.raw("Decrypt", args)
    except http.client.HTTPException:
        pass  # the server is stopped before it is through


def behaviours(fake):
    fake.control(reset=True)
    key = fake.key()
    blob = fake.call("GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=64)["CiphertextBlob"]
    args = {"CiphertextBlob": blob, "KeyId": key}
    for form, (name, message, status) in fakekms.error_forms(key).items():
        fake.control(fail={"operation": "Decrypt", "count": 1, "form": form})
        got = fake.call("Decrypt", **args)
        same = form == "skew" or got[2] == message
        check(f"{form} is {name}, once", got[:2] == (status, name) and same and fake.name("Decrypt", **args) == "good")
    for form, status in (("xml-403", 403), ("html-500", 500), ("redirect", 301), ("empty", 200), ("garbage-json", 200),
                         ("not-an-object", 200), ("nul", 200), ("huge", 200)):
        fake.control(fail={"operation": "*", "count": 1, "form": form})
        got, _, body = fake.raw("Decrypt", args)
        try:
            readable = isinstance(json.loads(body), dict) and form != "huge"
        except ValueError:
            readable = False
        check(f"{form} is {status}, and no answer to Decrypt", got == status and not readable)
    for form in fakekms.ALTERED:
        fake.control(fail={"operation": "Decrypt", "count": 1, "form": form})
        _, headers, body = fake.raw("Decrypt", args)
        answer = json.loads(body)
        good = fake.call("Decrypt", **args)
        check(f"{form} differs from what is right", answer != good or "html" in headers["Content-Type"])
    for form, error in (("reset", ConnectionResetError), ("truncated", http.client.IncompleteRead),
                        ("hang", TimeoutError)):
        fake.control(fail={"count": 1, "form": form})
        try:
            fake.raw("Decrypt", args, timeout=1)
            got = None
        except (OSError, http.client.HTTPException) as e:
            got = type(e)
        check(f"{form} ends in {error.__name__}", got and issubclass(got, error))
    fake.control(fail={"count": 1, "form": "slow-drip"})
    drip = threading.Thread(target=drop_by_drop, args=(fake, args), daemon=True)
    drip.start()
    drip.join(2)
    check("slow-drip goes on, and on", drip.is_alive())
    fake.control(fail={"form": "internal", "operation": "Decrypt", "skip": 1, "count": 2})
    check("rules skip and count", [fake.name("Decrypt", **args) for _ in range(4)] ==
          ["good", "KMSInternalException", "KMSInternalException", "good"])
    fake.control(fail=[], style="namespace", message="Message", state={key: "Disabled"})
    body = json.loads(fake.raw("Decrypt", args)[2])
    check("__type has its namespace when asked", body == {
        "__type": "com.amazonaws.kms#DisabledException", "Message": f"{key} is disabled."})
    fake.control(message="none")
    check("and no message", json.loads(fake.raw("Decrypt", args)[2]) == {
        "__type": "com.amazonaws.kms#DisabledException"})
    fake.control(reset=True, throttle=0.5, state={key: "Enabled"})
    got = [fake.name("Decrypt", **args) for _ in range(200)]
    check("half of all calls are throttled", 70 < got.count("ThrottlingException") < 130 and
          got.count("good") + got.count("ThrottlingException") == 200)
    stats = fake.control(stats=True)
    check("and counted", stats["calls"] == {"Decrypt": 200} and
          stats["throttled"] == got.count("ThrottlingException") == stats["failed"]["ThrottlingException"])
    check("the last calls are told", stats["requests"][-1]["params"]["KeyId"] == key)
    fake.control(reset=True)


def many(fake):
    key = fake.key()
    blob = fake.call("GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=64)["CiphertextBlob"]
    fake.control(delay=0.5)
    good = []
    threads = [threading.Thread(target=lambda: good.append(fake.raw(
        "Decrypt", {"CiphertextBlob": blob, "KeyId": key}, timeout=30)[0])) for _ in range(200)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("200 clients at once are all served", good == [200] * 200 and
          fake.control(stats=True)["most_at_once"] > 50)
    fake.control(reset=True)


def tls():
    with tempfile.TemporaryDirectory() as folder:
        for kind, error in (("good", None), ("wrong-name", "IP address mismatch"),
                            ("expired", "certificate has expired")):
            fake = Fake("--tls", kind, "--certs", folder)
            context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
            try:
                r = urllib.request.Request(fake.url + "/control", b'{"stats": true}', method="POST")
                with urllib.request.urlopen(r, timeout=5, context=context) as f:
                    got = None if f.status == 200 else f.status
            except urllib.error.URLError as e:
                got = str(e.reason)
            check(f"TLS: {kind}", got is None if error is None else error in (got or ""))
            fake.stop()


def main():
    fake = Fake()
    try:
        for part in (strangers, signatures, states, administration, permissions, behaviours, many):
            part(fake)
    finally:
        fake.stop()
    tls()
    print(f"fakekms: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
