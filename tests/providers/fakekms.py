#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake AWS KMS on 127.0.0.1, which answers as AWS documents and goes wrong as
it is told to: signatures (SigV4) are checked, keys have states, contexts are
bound (kmsmodel.py).

    fakekms.py [--port N] [--tls good|wrong-name|expired] [--certs FOLDER] [--seed N]

Prints its port on the first line (--port 0, the default: any); with --tls it
makes FOLDER/ca.pem and the certificates first, if they are not there (certs.py).
Ends at SIGTERM, or when the process that started it is gone.

Whose access keys it knows (AWS's own examples), all of account 111122223333:

    AKIAIOSFODNN7EXAMPLE  wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY  user/kcache: may everything
    AKIAI44QH8DHBEXAMPLE  je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY  user/host: what grants and policies allow
    ASIAIOSFODNN7EXAMPLE  the first one's, session token below      assumed-role/kcache/test: may everything

A key belongs to the region that a request is signed for.

POST /control takes a JSON object, without a signature, with any of:

    "reset": true           no behaviours and no counts; keys stay
    "fail": {"operation": "Decrypt" or "*", "form": F, "count": N, "skip": M}
                            the next N calls (without: all), after M good ones, end in F;
                            a list of such rules; [] ends them
    "throttle": 0.5         this part of all calls is throttled, by seeded chance; 0 ends it
    "delay": 0.2            seconds before each answer
    "skew": 3600            how far this server's clock is ahead
    "propagation": 2        seconds until a new grant is known without its token
    "state": {KEY: STATE}   or {KEY: {"state": STATE, "deletion": SECONDS FROM NOW}}
    "deny": KEY, "allow": KEY   or {"key": KEY, "principal": ARN}; KEY is an id or an ARN
    "delete": KEY           gone, as after its waiting time
    "style": "plain", "namespace" or "mixed"       the form of __type
    "message": "message", "Message", "none" or "mixed"   under which name, if at all
    "pending": "KMSInvalidStateException" or "DisabledException"  what AWS says of a key pending deletion
    "credentials": {"access_key":, "secret":, "arn":, "token"?:, "expires_in"?: SECONDS, "admin"?: true}
    "forget": ACCESS KEY    nobody's any more
    "stats": true           answers {"calls": {OPERATION: N}, "failed": {NAME: N}, "throttled": N, "most_at_once": N,
                            "requests": [the last 200: {"operation", "region", "principal", "user_agent", "params"}]}

Forms F: a form of forms() below.
"""
import argparse
import collections
import datetime
import json
import os
import random
import sys
import threading
import time
import uuid

import certs
import httpd
import kmsmodel
import sigv4
from kmsmodel import KmsError

ADMIN = f"arn:aws:iam::{kmsmodel.ACCOUNT}:user/kcache"
HOST = f"arn:aws:iam::{kmsmodel.ACCOUNT}:user/host"
ROLE = f"arn:aws:sts::{kmsmodel.ACCOUNT}:assumed-role/kcache/test"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "AQoDYXdzEJr1K7pLmUVEXAMPLEvvVSQxKTdTKEEXAMPLEtoken=="

XML_403 = """<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09">
  <Error>
    <Type>Sender</Type>
    <Code>SignatureDoesNotMatch</Code>
    <Message>The request signature we calculated does not match the signature you provided.</Message>
  </Error>
  <RequestId>{id}</RequestId>
</ErrorResponse>
"""
HTML_500 = ("<!DOCTYPE html><html><head><title>500 Internal Server Error</title></head>"
            "<body><h1>Internal Server Error</h1></body></html>\n")


def error_forms(arn):
    """Forms that are an error of KMS: name, message, status."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "disabled": ("DisabledException", f"{arn} is disabled.", 400),
        "pending-deletion": ("KMSInvalidStateException", f"{arn} is pending deletion.", 400),
        "pending-deletion-disabled": ("DisabledException", f"{arn} is pending deletion.", 400),
        "pending-import": ("KMSInvalidStateException", f"{arn} is pending import.", 400),
        "unavailable": ("KMSInvalidStateException", f"{arn} is unavailable.", 400),
        "state-without-text": ("KMSInvalidStateException", None, 400),
        "not-found": ("NotFoundException", f"Key '{arn}' does not exist", 400),
        "denied": ("AccessDeniedException", f"User: {ADMIN} is not authorized to perform: kms:Decrypt on resource: {arn} "
                   "because no resource-based policy allows the kms:Decrypt action", 400),
        "incorrect-key": ("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform "
                          "this operation.", 400),
        "invalid-ciphertext": ("InvalidCiphertextException", None, 400),
        "invalid-grant-token": ("InvalidGrantTokenException", None, 400),
        "invalid-usage": ("InvalidKeyUsageException", f"{arn} key usage is SIGN_VERIFY which is not valid for Decrypt.",
                          400),
        "validation": ("ValidationException", "1 validation error detected: Value at 'keyId' failed to satisfy "
                       "constraint: Member must have length less than or equal to 2048", 400),
        "key-unavailable": ("KeyUnavailableException", "The request was rejected because the key is not available", 500),
        "throttle": ("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency "
                     "of your calls.", 400),
        "limit": ("LimitExceededException", "The request was rejected because a limit was exceeded", 400),
        "internal": ("KMSInternalException", None, 500),
        "dependency-timeout": ("DependencyTimeoutException", "The system timed out while trying to fulfill the request",
                               503),
        "service-unavailable": ("ServiceUnavailableException", None, 503),
        "skew": ("InvalidSignatureException", sigv4.skewed(now - datetime.timedelta(hours=1), now), 400),
        "bad-signature": ("InvalidSignatureException", "The request signature we calculated does not match the signature "
                          "you provided. Check your AWS Secret Access Key and signing method. Consult the service "
                          "documentation for details.", 400),
        "incomplete-signature": ("IncompleteSignatureException", "Authorization header requires 'Signature' parameter.",
                                 400),
        "expired-token": ("ExpiredTokenException", "The security token included in the request is expired", 400),
        "unrecognized-client": ("UnrecognizedClientException",
                                "The security token included in the request is invalid.", 400),
        "unknown-error": ("SomethingNewException", "A later version of KMS says so", 400),
    }


# forms that are no error of KMS, and how the body gets there
BODIES = {"xml-403": XML_403, "html-500": HTML_500, "empty": "", "garbage-json": '{"KeyId": "arn:aws',
          "not-an-object": "[1, 2]", "huge": '{"KeyId": "' + "x" * (8 << 20) + '"}',
          "redirect": "", "nul": '{"KeyId": "\0", "Plaintext": "\0"}'}
ALTERED = ("wrong-length-dek", "wrong-key-id", "no-plaintext", "bad-base64", "html-200", "wrong-algorithm")
ON_THE_WAY = ("truncated", "slow-drip", "reset", "hang")


def forms():
    return [*error_forms(""), *BODIES, *ALTERED, *ON_THE_WAY]


class State:
    """What control sets, and what was counted."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.seed = seed
        self.kms = kmsmodel.Kms({ADMIN, ROLE})
        self.principals = {p.access_key: p for p in (
            sigv4.Principal(ADMIN, "AKIAIOSFODNN7EXAMPLE", SECRET),
            sigv4.Principal(HOST, "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"),
            sigv4.Principal(ROLE, "ASIAIOSFODNN7EXAMPLE", SECRET, SESSION_TOKEN))}
        self.now = 0
        self.reset()

    def reset(self):
        self.random = random.Random(self.seed)
        self.fail, self.throttle, self.delay, self.skew = [], 0, 0, 0
        self.style, self.message = "plain", "message"
        self.kms.deny, self.kms.propagation = set(), 0
        self.kms.pending_as = "KMSInvalidStateException"
        self.calls, self.failed = collections.Counter(), collections.Counter()
        self.throttled, self.most = 0, 0
        self.requests = collections.deque(maxlen=200)

    def clock(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.skew)

    def form(self, operation):
        """How this call is to end: a form, or None."""
        with self.lock:
            self.calls[operation] += 1
            for rule in self.fail:
                if rule.get("operation", "*") not in ("*", operation):
                    continue
                if rule.get("skip", 0) > 0:
                    rule["skip"] -= 1
                    continue
                if rule.get("count") is not None:
                    if rule["count"] <= 0:
                        continue
                    rule["count"] -= 1
                return rule["form"]
            if self.random.random() < self.throttle:
                self.throttled += 1
                return "throttle"
        return None

    def which(self, name):
        """A key by ARN or id, in any region."""
        found = [k for k in self.kms.keys.values() if name in (k.arn, k.id)]
        if not found:
            raise ValueError(f"no key {name}")
        return found[0]

    def set_state(self, name, state):
        key = self.which(name)
        rest = state if isinstance(state, dict) else {"state": state}
        if rest["state"] not in kmsmodel.STATES:
            raise ValueError(f"no state {rest['state']}")
        key.state = rest["state"]
        pending = key.state == "PendingDeletion"
        key.deletion = kmsmodel.Date(time.time() + rest.get("deletion", 7 * 86400)) if pending else None

    def access(self, what, deny):
        what = what if isinstance(what, dict) else {"key": what}
        entry = (self.which(what["key"]).arn, what.get("principal", "*"))
        (self.kms.deny.add if deny else self.kms.deny.discard)(entry)

    def control(self, want):
        answer = {}
        if want.get("reset"):
            self.reset()
        for name in ("throttle", "delay", "skew", "style", "message"):
            if name in want:
                setattr(self, name, want[name])
        if "fail" in want:
            rules = kmsmodel.listed(want["fail"])
            unknown = [r for r in rules if r.get("form") not in forms()]
            if unknown:
                raise ValueError(f"no such form: {unknown}")
            self.fail = rules
        if "propagation" in want:
            self.kms.propagation = want["propagation"]
        if "pending" in want:
            self.kms.pending_as = want["pending"]
        for name, state in want.get("state", {}).items():
            self.set_state(name, state)
        for word, deny in (("deny", True), ("allow", False)):
            if word in want:
                self.access(want[word], deny)
        if "delete" in want:
            key = self.which(want["delete"])
            del self.kms.keys[key.region, key.id]
        if "credentials" in want:
            c = want["credentials"]
            ends = time.time() + c["expires_in"] if "expires_in" in c else None
            self.principals[c["access_key"]] = sigv4.Principal(c["arn"], c["access_key"], c["secret"], c.get("token"),
                                                               ends)
            if c.get("admin"):
                self.kms.admins.add(c["arn"])
        if "forget" in want:
            self.principals.pop(want["forget"], None)
        if want.get("stats"):
            answer = {"calls": self.calls, "failed": self.failed, "throttled": self.throttled,
                      "most_at_once": self.most, "requests": list(self.requests)}
        return answer


class Handler(httpd.Handler):
    @property
    def state(self):
        return self.server.state

    def do_POST(self):
        body = self.body()
        if self.path == "/control":
            try:
                with self.state.lock, self.state.kms.lock:
                    self.answer(200, json.dumps(self.state.control(json.loads(body))), "application/json")
            except (ValueError, KeyError, TypeError) as e:
                self.answer(400, json.dumps({"error": repr(e)}), "application/json")
            return
        with self.state.lock:
            self.state.now += 1
            self.state.most = max(self.state.most, self.state.now)
        try:
            self.serve(body)
        finally:
            with self.state.lock:
                self.state.now -= 1

    def do_GET(self):
        self.answer(404, "<UnknownOperationException/>\n", "text/xml")

    def serve(self, body):
        state = self.state
        request_id = str(uuid.uuid4())
        target = self.headers.get("X-Amz-Target", "")
        operation = target.rpartition(".")[2]
        if self.path != "/" or not target.startswith("TrentService."):
            self.answer(404, "<UnknownOperationException/>\n", "text/xml")
            return
        form = state.form(operation)
        if state.delay:
            time.sleep(state.delay)
        if form in ("reset", "hang"):
            if form == "hang":
                time.sleep(300)
            self.reset()
        try:
            params = json.loads(body)
            if not isinstance(params, dict):
                raise ValueError("no object")
            key = params.get("KeyId") or params.get("SourceKeyId") or "unknown"
            who, region = sigv4.verify(state.principals, "kms", "POST", self.path, self.lower_headers(), body,
                                       state.clock())
            with state.lock:
                state.requests.append({"operation": operation, "region": region, "principal": who.arn,
                                       "user_agent": self.headers.get("User-Agent"), "params": params})
            if form in error_forms(key):
                raise KmsError(*error_forms(key)[form])
            if self.headers.get("Content-Type") != "application/x-amz-json-1.1":
                raise KmsError("UnknownOperationException")
            answer = state.kms.call(kmsmodel.Call(who, region, operation, params))
        except sigv4.Refused as e:
            self.error(KmsError(e.name, e.message), request_id, form)
        except KmsError as e:
            self.error(e, request_id, form)
        except ValueError:
            self.error(KmsError("SerializationException"), request_id, form)
        else:
            self.good(answer, request_id, form)

    def id_header(self, request_id):
        return [("x-amzn-RequestId", request_id)]

    def good(self, answer, request_id, form):
        headers = self.id_header(request_id)
        if form in BODIES:
            status = {"xml-403": 403, "html-500": 500, "redirect": 301}.get(form, 200)
            kind = {"xml-403": "text/xml", "html-500": "text/html"}.get(form, "application/x-amz-json-1.1")
            if form == "redirect":
                headers.append(("Location", "http://127.0.0.1:9/"))
            self.answer(status, BODIES[form].replace("{id}", request_id), kind, headers)
            return
        if answer is None:  # operations that have no answer, not even {}
            self.answer(200, "", headers=headers, form=form)
            return
        kind = "text/html; charset=utf-8" if form == "html-200" else "application/x-amz-json-1.1"
        self.answer(200, kmsmodel.dumps(altered(answer, form)), kind, headers, form)

    def error(self, e, request_id, form):
        state = self.state
        with state.lock:
            state.failed[e.name] += 1
            style = state.random.choice(("plain", "namespace")) if state.style == "mixed" else state.style
            message = state.random.choice(("message", "Message", "none")) if state.message == "mixed" else state.message
        space = "com.amazonaws.kms#" if e.name in KMS_OWN else "com.amazon.coral.service#"
        answer = {"__type": space + e.name if style == "namespace" else e.name}
        if e.message is not None and message != "none":
            answer[message] = e.message
        self.answer(e.status, json.dumps(answer, separators=(",", ":")), headers=self.id_header(request_id),
                    form=form if form in ON_THE_WAY else None)


# errors of KMS; others are those of all services
KMS_OWN = {"DisabledException", "KMSInvalidStateException", "NotFoundException", "InvalidCiphertextException",
           "IncorrectKeyException", "KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException",
           "InvalidGrantTokenException", "InvalidKeyUsageException", "AlreadyExistsException", "LimitExceededException",
           "InvalidArnException", "DryRunOperationException", "MalformedPolicyDocumentException",
           "UnsupportedOperationException", "InvalidImportTokenException", "ExpiredImportTokenException",
           "IncorrectKeyMaterialException"}


def altered(answer, form):
    answer = dict(answer)
    if form == "wrong-length-dek" and "Plaintext" in answer:
        answer["Plaintext"] = kmsmodel.b64(os.urandom(32))
    elif form == "no-plaintext":
        answer.pop("Plaintext", None)
        answer.pop("CiphertextBlob", None)
    elif form == "bad-base64":
        answer |= {n: answer[n][:-2] + "!" for n in ("Plaintext", "CiphertextBlob") if n in answer}
    elif form == "wrong-key-id" and "KeyId" in answer:
        answer["KeyId"] = answer["KeyId"][:-12] + "000000000000"
    elif form == "wrong-algorithm" and "EncryptionAlgorithm" in answer:
        answer["EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256"
    return answer


def main():
    p = argparse.ArgumentParser(description="a fake AWS KMS")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls", choices=certs.KINDS)
    p.add_argument("--certs")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    if a.tls:
        if not a.certs:
            p.error("--tls needs --certs")
        os.makedirs(a.certs, exist_ok=True)
        if not os.path.exists(os.path.join(a.certs, "ca.pem")):
            certs.make(a.certs)
    server = httpd.Server(a.port, Handler, os.path.join(a.certs, a.tls + ".pem") if a.tls else None)
    server.state = State(a.seed)
    httpd.serve(server)


if __name__ == "__main__":
    sys.exit(main())
