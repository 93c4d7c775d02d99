#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What hands out AWS credentials, on one port of 127.0.0.1: STS (its JSON form), a
container's credentials service, and the instance metadata service, version 2.

    fakecreds.py

Prints its port. POST /control takes a JSON object, with any of:

    "reset": true        as it was at first
    "lifetime": 3600     seconds that what is handed out is good for
    "iso": true          STS writes its dates as text, not as 1.7E9
    "session_ttl": 60    of an IMDS session; "end_sessions": true forgets all
    "fail": {"path": P, "method"?: M, "status": S, "body"?: B, "headers"?: {}, "count"?: N, "delay"?: SECONDS}
                         the next N requests (without: all) whose path starts with P are answered so;
                         without a status, only later; a list of such rules
    "stats": true        answers {"requests": [{"method", "path", "action", "params", "agent"}], "sessions": N}

STS knows the access key AKIAIOSFODNN7EXAMPLE (AWS's example) and all that it has
handed out, the web identity token "the-web-token", and gives no role named "denied"
to anybody; the role "external" wants the ExternalId "42". The container wants the
Authorization "the-container-token" for /container/closed.
"""
import collections
import json
import sys
import threading
import time
import urllib.parse
import uuid

import httpd
import kmsmodel
import sigv4

ROLE = "the-role"
WEB_TOKEN = "the-web-token"
CONTAINER_TOKEN = "the-container-token"
IMDS = "/latest/meta-data/iam/security-credentials/"


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.n = 0
        self.reset()

    def reset(self):
        self.lifetime, self.iso, self.session_ttl, self.fail = 3600, False, 60, []
        self.sessions = {}
        self.requests = collections.deque(maxlen=200)
        self.principals = {p.access_key: p for p in (
            sigv4.Principal("user", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),)}

    def rule(self, method, path):
        with self.lock:
            for r in self.fail:
                if path.startswith(r["path"]) and r.get("method", method) == method and r.get("count", 1) > 0:
                    if "count" in r:
                        r["count"] -= 1
                    return r
        return {}

    def credentials(self, who):
        """New ones: (id, secret, token, end)."""
        with self.lock:
            self.n += 1
            made = sigv4.Principal(who, f"ASIA{self.n:016d}", f"secret/{self.n}", f"token/{self.n}/{who}==",
                                   time.time() + self.lifetime)
            self.principals[made.access_key] = made
        return made.access_key, made.secret, made.token, made.expires

    def control(self, want):
        if want.get("reset"):
            self.reset()
        for name in ("lifetime", "iso", "session_ttl"):
            if name in want:
                setattr(self, name, want[name])
        if "fail" in want:
            self.fail = kmsmodel.listed(want["fail"])
        if want.get("end_sessions"):
            self.sessions = {}
        if want.get("stats"):
            return {"requests": list(self.requests), "sessions": len(self.sessions)}
        return {}


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


class Handler(httpd.Handler):
    @property
    def state(self):
        return self.server.state

    def serve(self):
        body = self.body()
        if self.path == "/control":
            with self.state.lock:
                self.answer(200, json.dumps(self.state.control(json.loads(body))), "application/json")
            return
        params = dict(urllib.parse.parse_qsl(body.decode()))
        with self.state.lock:
            self.state.requests.append({"method": self.command, "path": self.path, "action": params.get("Action"),
                                        "params": params, "agent": self.headers.get("User-Agent")})
        rule = self.state.rule(self.command, self.path)
        time.sleep(rule.get("delay", 0))
        if "status" in rule:
            self.answer(rule["status"], rule.get("body", ""), "application/json", list(rule.get("headers", {}).items()))
        elif self.command == "POST" and self.path == "/":
            self.sts(params, body)
        elif self.command == "GET" and self.path.startswith("/container"):
            self.container()
        else:
            self.imds()

    do_GET = do_POST = do_PUT = do_HEAD = serve

    # --- STS ---

    def refuse(self, status, code, message):
        self.answer(status, json.dumps({"Error": {"Code": code, "Message": message, "Type": "Sender"},
                                        "RequestId": str(uuid.uuid4())}), "application/json")

    def sts(self, params, body):
        action, role = params.get("Action"), params.get("RoleArn", "")
        if self.headers.get("Accept") != "application/json" or params.get("Version") != "2011-06-15":
            self.answer(400, "<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", "text/xml")
            return
        if action == "AssumeRoleWithWebIdentity":
            if "Authorization" in self.headers or params.get("WebIdentityToken") != WEB_TOKEN:
                self.refuse(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
                return
        elif action == "AssumeRole":
            try:
                sigv4.verify(self.state.principals, "sts", "POST", self.path, self.lower_headers(), body)
            except sigv4.Refused as e:
                self.refuse(403, {"UnrecognizedClientException": "InvalidClientTokenId"}.get(e.name, e.name), e.message)
                return
        else:
            self.refuse(400, "InvalidAction", f"Could not find operation {action}")
            return
        if role.endswith("/denied") or (role.endswith("/external") and params.get("ExternalId") != "42"):
            self.refuse(403, "AccessDenied", f"User: x is not authorized to perform: sts:{action} on resource: {role}")
            return
        access_key, secret, token, ends = self.state.credentials(role)
        answer = {f"{action}Response": {
            f"{action}Result": {
                "AssumedRoleUser": {"Arn": role + "/" + params.get("RoleSessionName", ""), "AssumedRoleId": "AROA:x"},
                "Credentials": {"AccessKeyId": access_key, "SecretAccessKey": secret, "SessionToken": token,
                                "Expiration": iso(ends) if self.state.iso else kmsmodel.Date(int(ends))}},
            "ResponseMetadata": {"RequestId": str(uuid.uuid4())}}}
        self.answer(200, kmsmodel.dumps(answer), "application/json")

    # --- a container's ---

    def hand_out(self, who, **more):
        access_key, secret, token, ends = self.state.credentials(who)
        self.answer(200, json.dumps({"AccessKeyId": access_key, "SecretAccessKey": secret, "Token": token,
                                     "Expiration": iso(ends), **more}), "application/json")

    def container(self):
        if self.path == "/container/closed" and self.headers.get("Authorization") != CONTAINER_TOKEN:
            self.answer(401, '{"code": "NotAuthorized", "message": "no token"}', "application/json")
        elif self.path in ("/container/closed", "/container/open?id=1"):
            self.hand_out("container", RoleArn="arn:aws:iam::111122223333:role/task")
        else:
            self.answer(404, '{"code": "NoIdInRequest", "message": "no such id"}', "application/json")

    # --- an instance's ---

    def imds(self):
        if self.command == "PUT" and self.path == "/latest/api/token":
            try:
                if not 1 <= int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600:
                    raise ValueError
            except (TypeError, ValueError):
                self.answer(400, "", "text/plain")
                return
            token = uuid.uuid4().hex + "=="
            with self.state.lock:
                self.state.sessions[token] = time.time() + self.state.session_ttl
            self.answer(200, token, "text/plain",
                        [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", str(self.state.session_ttl))])
            return
        if self.state.sessions.get(self.headers.get("X-aws-ec2-metadata-token"), 0) < time.time():
            self.answer(401, "", "text/plain")
        elif self.command == "GET" and self.path == IMDS:
            self.answer(200, ROLE, "text/plain")
        elif self.command == "GET" and self.path == IMDS + ROLE:
            self.hand_out("instance", Code="Success", Type="AWS-HMAC")
        else:
            self.answer(404, "", "text/plain")


def main():
    server = httpd.Server(0, Handler)
    server.state = State()
    httpd.serve(server)


if __name__ == "__main__":
    sys.exit(main())
