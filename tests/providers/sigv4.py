# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS Signature Version 4, for the servers that tests talk to: who signed a
request, and did he? Written from AWS's description of the algorithm, with
nothing from an SDK, so that client and server share no mistake.
"""
import datetime
import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = 300  # seconds

# one line of an Authorization header
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$")


class Refused(Exception):
    """A request that a service of AWS does not look at any further."""

    def __init__(self, name, message):
        super().__init__(message)
        self.name = name
        self.message = message


class Principal:
    """Whose access key it is: a secret, and a session token that has an end."""

    def __init__(self, arn, access_key, secret, token=None, expires=None):
        self.arn = arn
        self.access_key = access_key
        self.secret = secret
        self.token = token
        self.expires = expires


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _stamp(t):
    return t.strftime("%Y%m%dT%H%M%SZ")


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    quoted = [(urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in pairs]
    return "&".join(f"{k}={v}" for k, v in sorted(quoted))


def signature(secret, date, day, region, service, method, target, headers, names, body):
    """The signature over what was sent; @headers by lower-case name."""
    path, _, query = target.partition("?")
    canonical = "\n".join([
        method, path or "/", canonical_query(query),
        "".join(f"{n}:{' '.join(headers.get(n, '').split())}\n" for n in names),
        ";".join(names), hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _hmac(b"AWS4" + secret.encode(), day)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def sign(principal, region, service, method, target, headers, body, now=None):
    """Headers for a client of our own: @headers with host, date and signature."""
    date = _stamp(now or datetime.datetime.now(datetime.timezone.utc))
    headers = {k.lower(): v for k, v in headers.items()} | {"x-amz-date": date}
    if principal.token:
        headers["x-amz-security-token"] = principal.token
    names = sorted(headers)
    proof = signature(principal.secret, date, date[:8], region, service, method, target, headers, names, body)
    headers["authorization"] = (
        f"{ALGORITHM} Credential={principal.access_key}/{date[:8]}/{region}/{service}/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={proof}")
    return headers


def verify(principals, service, method, target, headers, body, now=None):
    """(principal, region) of a request; Refused in AWS's words if it is not signed well.

    @principals by access key; @headers by lower-case name.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    if "authorization" not in headers:
        raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
    m = AUTHORIZATION.match(headers["authorization"])
    date = headers.get("x-amz-date", "")
    if not m or not re.fullmatch(r"\d{8}T\d{6}Z", date):
        raise Refused("IncompleteSignatureException",
                      "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    access_key, day, region, signed_service, names, proof = m.groups()
    names = names.split(";")
    if access_key not in principals:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    who = principals[access_key]
    if signed_service != service:
        raise Refused("InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'. ")
    if not {"host", "x-amz-date"} <= set(names) or \
            any(h.startswith("x-amz-") and h not in names for h in headers):
        raise Refused("InvalidSignatureException", "Host and all x-amz- headers must be signed")
    if any(n not in headers for n in names):
        raise Refused("InvalidSignatureException", "a header that was signed is not there")
    if day != date[:8]:
        raise Refused("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
    sent = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs((now - sent).total_seconds()) > SKEW:
        raise Refused("InvalidSignatureException", skewed(sent, now))
    want = signature(who.secret, date, day, region, service, method, target, headers, names, body)
    if not hmac.compare_digest(want, proof):
        raise Refused("InvalidSignatureException",
                      "The request signature we calculated does not match the signature you provided. Check your AWS "
                      "Secret Access Key and signing method. Consult the service documentation for details.")
    if who.token != headers.get("x-amz-security-token"):
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    if who.expires and now.timestamp() > who.expires:
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    return who, region


def skewed(sent, now):
    margin = datetime.timedelta(seconds=SKEW)
    if sent < now:
        return (f"Signature expired: {_stamp(sent)} is now earlier than {_stamp(now - margin)} "
                f"({_stamp(now)} - 5 min.)")
    return f"Signature not yet current: {_stamp(sent)} is still later than {_stamp(now + margin)} ({_stamp(now)} + 5 min.)"
