# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a fake AWS KMS: states, aliases, grants, policies, replicas, and
the operations on them, with the answers and the errors that AWS documents (API
reference; developer guide, "Key states" with its footnotes).

Wrapped blobs are opaque and bound to their encryption context, by HMAC-SHA256
as stream and tag: this is a test server, what it wraps is worth nothing.
"""
import base64
import fnmatch
import hashlib
import hmac
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import uuid

ACCOUNT = "111122223333"
STATES = ("Enabled", "Disabled", "PendingDeletion", "PendingImport", "Unavailable")
MAGIC = bytes.fromhex("0102020078")  # what blobs of AWS start with
PAGE = 50


class KmsError(Exception):
    """An answer other than 200; @message may be None, as for InvalidCiphertextException."""

    def __init__(self, name, message=None, status=400):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.status = status


class Date(float):
    """Seconds since 1970, which AWS writes as 1.732492800123E9."""


def b64(data):
    return base64.b64encode(data).decode()


def unb64(params, name, least=1, most=6144):
    try:
        data = base64.b64decode(params[name], validate=True)
    except (KeyError, ValueError, TypeError):
        raise KmsError("ValidationException", f"1 validation error detected: Value at '{name}' failed to satisfy "
                       "constraint: Member must not be null") from None
    if not least <= len(data) <= most:
        raise KmsError("ValidationException", f"1 validation error detected: Value at '{name}' failed to satisfy "
                       f"constraint: Member must have length less than or equal to {most}")
    return data


def canonical(context):
    return json.dumps(context or {}, sort_keys=True, separators=(",", ":")).encode()


# --- wrapping ----------------------------------------------------------------

def _stream(key, nonce, length):
    out = b""
    for i in range((length + 31) // 32):
        out += hmac.new(key, b"stream" + nonce + i.to_bytes(4, "big"), hashlib.sha256).digest()
    return out[:length]


def wrap(material, version, name, plaintext, context):
    nonce = os.urandom(12)
    head = MAGIC + hashlib.sha256(name.encode()).digest() + version.to_bytes(2, "big") + nonce
    body = bytes(a ^ b for a, b in zip(plaintext, _stream(material, nonce, len(plaintext))))
    tag = hmac.new(material, b"tag" + head + canonical(context) + body, hashlib.sha256).digest()
    return head + body + tag


def unwrap(material, blob, context):
    head, body, tag = blob[:51], blob[51:-32], blob[-32:]
    want = hmac.new(material, b"tag" + head + canonical(context) + body, hashlib.sha256).digest()
    if not hmac.compare_digest(tag, want):
        raise KmsError("InvalidCiphertextException")
    return bytes(a ^ b for a, b in zip(body, _stream(material, head[39:51], len(body))))


# --- keys --------------------------------------------------------------------

class Material:
    """What replicas of a multi-region key have in common."""

    def __init__(self):
        self.versions = [os.urandom(32)]
        self.rotated = []


class Key:
    def __init__(self, region, key_id, material, **rest):
        self.region = region
        self.id = key_id
        self.arn = f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}"
        self.material = material
        self.state = "Enabled"
        self.created = Date(time.time())
        self.deletion = None
        self.days = None
        self.description = rest.get("description", "")
        self.spec = rest.get("spec", "SYMMETRIC_DEFAULT")
        self.usage = rest.get("usage", "ENCRYPT_DECRYPT")
        self.origin = rest.get("origin", "AWS_KMS")
        self.manager = rest.get("manager", "CUSTOMER")
        self.primary = rest.get("primary")  # the ARN, of a multi-region key
        self.policy = rest.get("policy") or default_policy()
        self.grants = {}
        self.rotation = None
        self.parameters = None  # the wrapping key of an import
        self.imported = None
        self.valid_to = None


def default_policy():
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [{
        "Sid": "Enable IAM User Permissions", "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}]})


def listed(x):
    return x if isinstance(x, list) else [x]


class Call:
    """Who asks for what, and where."""

    def __init__(self, who, region, operation, params):
        self.who = who
        self.region = region
        self.operation = operation
        self.params = params

    def get(self, name, kind=str, default=None):
        v = self.params.get(name, default)
        if v is not None and not isinstance(v, kind):
            raise KmsError("SerializationException", f"{name} is no {kind.__name__}")
        return v

    def need(self, name, kind=str):
        v = self.get(name, kind)
        if v is None:
            raise KmsError("ValidationException", f"1 validation error detected: Value null at '{name[0].lower()}"
                           f"{name[1:]}' failed to satisfy constraint: Member must not be null")
        return v


# what a key must be for an operation; the footnotes of the table of key states
USE = {"Disabled": "disabled", "PendingDeletion": "pending", "PendingImport": "import", "Unavailable": "unavailable"}
ENABLE = {"PendingDeletion": "pending", "PendingImport": "import", "Unavailable": "unavailable"}
ROTATE = {"Disabled": "disabled", "PendingDeletion": "pending-state", "PendingImport": "origin",
          "Unavailable": "origin"}
NEEDS = {
    "Encrypt": USE, "Decrypt": USE, "GenerateDataKey": USE, "GenerateDataKeyWithoutPlaintext": USE, "ReEncrypt": USE,
    "CreateGrant": USE, "EnableKey": ENABLE, "DisableKey": ENABLE,
    "EnableKeyRotation": ROTATE, "DisableKeyRotation": ROTATE, "RotateKeyOnDemand": ROTATE,
    "ScheduleKeyDeletion": {"PendingDeletion": "pending-state"},
    "CancelKeyDeletion": {s: "not-pending" for s in STATES if s != "PendingDeletion"},
    "GetParametersForImport": {"PendingDeletion": "pending-state"},
    "ImportKeyMaterial": {"PendingDeletion": "pending-state"},
    "CreateAlias": {"PendingDeletion": "pending-state"}, "UpdateAlias": {"PendingDeletion": "pending-state"},
    "ReplicateKey": USE,
}

GRANTABLE = {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
             "CreateGrant", "RetireGrant", "DescribeKey"}


def state_error(key, what, pending_as):
    name, text = {
        "disabled": ("DisabledException", "is disabled."),
        "pending": (pending_as, "is pending deletion."),
        "pending-state": ("KMSInvalidStateException", "is pending deletion."),
        "not-pending": ("KMSInvalidStateException", "is not pending deletion."),
        "import": ("KMSInvalidStateException", "is pending import."),
        "unavailable": ("KMSInvalidStateException", "is unavailable."),
        "origin": ("UnsupportedOperationException", f"origin is {key.origin} which is not valid for this operation."),
    }[what]
    return KmsError(name, f"{key.arn} {text}")


class Kms:
    """All keys of one account, in all regions; admins may what policies let the account do."""

    def __init__(self, admins=()):
        self.lock = threading.RLock()
        self.admins = set(admins)
        self.keys = {}     # (region, id)
        self.aliases = {}  # (region, name): key id
        self.deny = set()  # (key ARN, principal ARN or "*")
        self.propagation = 0  # seconds until a grant is known without its token
        self.pending_as = "KMSInvalidStateException"

    # --- finding ---

    def find(self, call, name, aliases=True):
        region = call.region
        m = re.fullmatch(r"arn:(aws|aws-cn|aws-us-gov):kms:([a-z0-9-]+):(\d{12}):(key|alias)/(.+)", name)
        if m:
            region, bare = m.group(2), m.group(5) if m.group(4) == "key" else "alias/" + m.group(5)
            if region != call.region:
                raise KmsError("NotFoundException", f"Invalid arn {region}")
        elif name.startswith("arn:"):
            raise KmsError("InvalidArnException", f"Invalid keyId {name}")
        else:
            bare = name
        if bare.startswith("alias/"):
            if not aliases:
                raise KmsError("ValidationException", f"Invalid keyId {name}")
            if (region, bare) not in self.aliases and bare == "alias/aws/ebs":
                key = self.add(region, manager="AWS", description="Default key that protects my EBS volumes")
                self.aliases[region, bare] = key.id
            if (region, bare) not in self.aliases:
                raise KmsError("NotFoundException",
                               f"Alias arn:aws:kms:{region}:{ACCOUNT}:{bare} is not found.")
            bare = self.aliases[region, bare]
        key = self.keys.get((region, bare))
        if not key or (m and m.group(3) != ACCOUNT):
            if not m and not re.fullmatch(r"(mrk-[0-9a-f]{32}|[0-9a-f-]{36})", bare):
                raise KmsError("NotFoundException", f"Invalid keyId '{name}'")
            arn = name if m else f"arn:aws:kms:{region}:{ACCOUNT}:key/{bare}"
            raise KmsError("NotFoundException", f"Key '{arn}' does not exist")
        if key.deletion and key.deletion <= time.time():
            del self.keys[region, bare]
            raise KmsError("NotFoundException", f"Key '{key.arn}' does not exist")
        if key.valid_to and key.valid_to <= time.time():
            key.valid_to, key.state = None, "PendingImport"
        return key

    def add(self, region, **rest):
        key_id = rest.pop("id", None) or str(uuid.uuid4())
        key = Key(region, key_id, rest.pop("material", None) or Material(), **rest)
        self.keys[region, key_id] = key
        return key

    # --- who may ---

    def statements(self, key, call, action, context):
        """Effects of the policy's statements that are about this call; "root" where they leave it to IAM."""
        for s in listed(json.loads(key.policy)["Statement"]):
            actions = [a.lower() for a in listed(s.get("Action", []))]
            if not any(fnmatch.fnmatchcase(action.lower(), a) for a in actions):
                continue
            principal = s.get("Principal", {})
            names = ["*"] if principal == "*" else listed(principal.get("AWS", []))
            equals = s.get("Condition", {}).get("StringEquals", {})
            if any((context or {}).get(k[len("kms:EncryptionContext:"):]) not in listed(v) for k, v in equals.items()
                   if k.startswith("kms:EncryptionContext:")):
                continue
            if call.who.arn in names or "*" in names:
                yield s["Effect"]
            elif f"arn:aws:iam::{ACCOUNT}:root" in names and s["Effect"] == "Allow":
                yield "root"

    def granted(self, key, call, operation, context):
        for g in key.grants.values():
            known = time.time() >= g["known"] or g["token"] in (call.get("GrantTokens", list) or [])
            subset = g["constraints"].get("EncryptionContextSubset")
            equals = g["constraints"].get("EncryptionContextEquals")
            if known and g["grantee"] == call.who.arn and operation in g["operations"] and \
                    (subset is None or subset.items() <= (context or {}).items()) and \
                    (equals is None or equals == (context or {})):
                return True
        return False

    def authorize(self, key, call, operation, context=None):
        action = "kms:" + operation
        effects = set(self.statements(key, call, action, context))
        denied = {(key.arn, "*"), (key.arn, call.who.arn)} & self.deny or "Deny" in effects
        allowed = "Allow" in effects or ("root" in effects and call.who.arn in self.admins) or \
            self.granted(key, call, operation, context)
        if denied or not allowed:
            why = "with an explicit deny in a resource-based policy" if denied else \
                f"because no identity-based policy allows the {action} action"
            raise KmsError("AccessDeniedException", f"User: {call.who.arn} is not authorized to perform: {action} on "
                           f"resource: {key.arn} {why}")

    def account(self, call):
        """Operations on no key: the account's own users."""
        if call.who.arn not in self.admins:
            raise KmsError("AccessDeniedException", f"User: {call.who.arn} is not authorized to perform: "
                           f"kms:{call.operation} because no identity-based policy allows the kms:{call.operation} action")

    def usable(self, key, operation):
        what = NEEDS.get(operation, {}).get(key.state)
        if what:
            raise state_error(key, what, self.pending_as)

    def key(self, call, name="KeyId", aliases=False):
        """The key of an administrative call, which may be made now."""
        key = self.find(call, call.need(name), aliases)
        self.authorize(key, call, call.operation)
        self.usable(key, call.operation)
        return key

    def call(self, call):
        operation = OPERATIONS.get(call.operation)
        if not operation:
            raise KmsError("UnknownOperationException")
        with self.lock:
            return operation(self, call)

    # --- cryptography ---

    def context(self, call, name="EncryptionContext"):
        context = call.get(name, dict) or {}
        if any(not isinstance(v, str) for v in context.values()):
            raise KmsError("SerializationException")
        if len(canonical(context)) > 8192:
            raise KmsError("ValidationException", f"{name} is too long")
        return context

    def crypto_key(self, call, name, operation, context, prefix=""):
        if (call.get(prefix + "EncryptionAlgorithm") or "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            raise KmsError("InvalidKeyUsageException", "You cannot use this algorithm with this key")
        for token in call.get("GrantTokens", list) or []:
            if not any(g["token"] == token for k in self.keys.values() for g in k.grants.values()):
                raise KmsError("InvalidGrantTokenException")
        key = self.find(call, name)
        self.authorize(key, call, operation, context)
        self.usable(key, "Decrypt")
        if key.spec != "SYMMETRIC_DEFAULT" or key.usage != "ENCRYPT_DECRYPT":
            raise KmsError("InvalidKeyUsageException",
                           f"{key.arn} key usage is {key.usage} which is not valid for {operation}.")
        return key

    def dry_run(self, call):
        if call.get("DryRun", bool):
            raise KmsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.",
                           412)

    def wrapped(self, key, plaintext, context):
        versions = key.material.versions
        return b64(wrap(versions[-1], len(versions), key.id, plaintext, context))

    def encrypt(self, call):
        context = self.context(call)
        key = self.crypto_key(call, call.need("KeyId"), "Encrypt", context)
        plaintext = unb64(call.params, "Plaintext", most=4096)
        self.dry_run(call)
        return {"CiphertextBlob": self.wrapped(key, plaintext, context), "KeyId": key.arn,
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def generate(self, call, show=False):
        context = self.context(call)
        key = self.crypto_key(call, call.need("KeyId"), call.operation, context)
        size = call.get("NumberOfBytes", int)
        spec = {"AES_256": 32, "AES_128": 16}.get(call.get("KeySpec"))
        if (size is None) == (spec is None):
            raise KmsError("ValidationException", "Please specify either number of bytes or key spec.")
        if size is not None and not 1 <= size <= 1024:
            raise KmsError("ValidationException", "1 validation error detected: Value at 'numberOfBytes' failed to "
                           "satisfy constraint: Member must have value less than or equal to 1024")
        self.dry_run(call)
        plaintext = os.urandom(size or spec)
        answer = {"CiphertextBlob": self.wrapped(key, plaintext, context), "KeyId": key.arn}
        return answer | {"Plaintext": b64(plaintext)} if show else answer

    def generate_shown(self, call):
        return self.generate(call, show=True)

    def opened(self, call, operation, id_name, context, prefix=""):
        """(key, plaintext) of a blob; the key that made it is asked, where none is named."""
        blob = unb64(call.params, "CiphertextBlob")
        maker = None
        if len(blob) > 83 and blob.startswith(MAGIC):
            maker = next((k for k in self.keys.values() if k.region == call.region and
                          hashlib.sha256(k.id.encode()).digest() == blob[5:37]), None)
        name = call.get(id_name)
        if name is None and not maker:
            raise KmsError("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, "
                           "does not exist in this region, or you are not allowed to access.")
        key = self.crypto_key(call, name or maker.arn, operation, context, prefix)
        if maker and maker is not key:
            raise KmsError("IncorrectKeyException",
                           "The key ID in the request does not identify a CMK that can perform this operation.")
        version = int.from_bytes(blob[37:39], "big")
        if not maker or not 1 <= version <= len(key.material.versions):
            raise KmsError("InvalidCiphertextException")
        return key, unwrap(key.material.versions[version - 1], blob, context)

    def decrypt(self, call):
        key, plaintext = self.opened(call, "Decrypt", "KeyId", self.context(call))
        self.dry_run(call)
        return {"KeyId": key.arn, "Plaintext": b64(plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def re_encrypt(self, call):
        new = self.context(call, "DestinationEncryptionContext")
        key, plaintext = self.opened(call, "ReEncryptFrom", "SourceKeyId",
                                     self.context(call, "SourceEncryptionContext"), "Source")
        to = self.crypto_key(call, call.need("DestinationKeyId"), "ReEncryptTo", new, "Destination")
        self.dry_run(call)
        return {"CiphertextBlob": self.wrapped(to, plaintext, new), "SourceKeyId": key.arn, "KeyId": to.arn,
                "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    # --- keys ---

    def metadata(self, key):
        symmetric = key.spec == "SYMMETRIC_DEFAULT"
        m = {"AWSAccountId": ACCOUNT, "KeyId": key.id, "Arn": key.arn, "CreationDate": key.created,
             "Enabled": key.state == "Enabled", "Description": key.description, "KeyUsage": key.usage,
             "KeyState": key.state, "Origin": key.origin, "KeyManager": key.manager,
             "CustomerMasterKeySpec": key.spec, "KeySpec": key.spec,
             "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"] if symmetric else ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"],
             "MultiRegion": key.primary is not None}
        if key.deletion:
            m["DeletionDate"] = key.deletion
        if key.valid_to:
            m |= {"ValidTo": key.valid_to, "ExpirationModel": "KEY_MATERIAL_EXPIRES"}
        elif key.origin == "EXTERNAL" and key.state != "PendingImport":
            m["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE"
        if key.primary:
            same = [k for k in self.keys.values() if k.primary == key.primary]
            m["MultiRegionConfiguration"] = {
                "MultiRegionKeyType": "PRIMARY" if key.arn == key.primary else "REPLICA",
                "PrimaryKey": {"Arn": key.primary, "Region": key.primary.split(":")[3]},
                "ReplicaKeys": [{"Arn": k.arn, "Region": k.region} for k in same if k.arn != key.primary]}
        return m

    def create_key(self, call):
        self.account(call)
        origin = call.get("Origin") or "AWS_KMS"
        spec = call.get("KeySpec") or call.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
        if origin not in ("AWS_KMS", "EXTERNAL") or spec not in ("SYMMETRIC_DEFAULT", "RSA_2048", "HMAC_256"):
            raise KmsError("ValidationException", "this fake has keys of other kinds only")
        rest = {"description": call.get("Description") or "", "origin": origin, "spec": spec,
                "usage": call.get("KeyUsage") or "ENCRYPT_DECRYPT", "policy": call.get("Policy")}
        if call.get("MultiRegion", bool):
            rest["id"] = "mrk-" + uuid.uuid4().hex
            rest["primary"] = f"arn:aws:kms:{call.region}:{ACCOUNT}:key/{rest['id']}"
        key = self.add(call.region, **rest)
        if origin == "EXTERNAL":
            key.state = "PendingImport"
        return {"KeyMetadata": self.metadata(key)}

    def describe_key(self, call):
        return {"KeyMetadata": self.metadata(self.key(call, aliases=True))}

    def enable_key(self, call):
        self.key(call).state = "Enabled"

    def disable_key(self, call):
        self.key(call).state = "Disabled"

    def schedule_deletion(self, call):
        days = call.get("PendingWindowInDays", int, 30)
        if not 7 <= days <= 30:
            raise KmsError("ValidationException", f"1 validation error detected: Value '{days}' at "
                           "'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or "
                           "equal to 7")
        key = self.key(call)
        if key.manager == "AWS":
            raise KmsError("AccessDeniedException", "AWS managed keys cannot be deleted")
        key.state, key.days, key.deletion = "PendingDeletion", days, Date(time.time() + days * 86400)
        return {"KeyId": key.arn, "DeletionDate": key.deletion, "KeyState": key.state, "PendingWindowInDays": days}

    def cancel_deletion(self, call):
        key = self.key(call)
        key.state, key.deletion = "Disabled", None
        return {"KeyId": key.arn}

    def replicate_key(self, call):
        key = self.key(call)
        region = call.need("ReplicaRegion")
        if key.arn != key.primary:
            raise KmsError("UnsupportedOperationException", f"{key.arn} is not a multi-region primary key.")
        if (region, key.id) in self.keys:
            raise KmsError("AlreadyExistsException", f"{key.id} exists in {region} already")
        replica = self.add(region, id=key.id, material=key.material, primary=key.primary,
                           description=call.get("Description") or "")
        return {"ReplicaKeyMetadata": self.metadata(replica), "ReplicaPolicy": replica.policy, "ReplicaTags": []}

    def page(self, call, all_of, name):
        limit = call.get("Limit", int, PAGE)
        marker = call.get("Marker")
        start = int(base64.b64decode(marker)) if marker else 0
        answer = {name: all_of[start:start + limit], "Truncated": start + limit < len(all_of)}
        if answer["Truncated"]:
            answer["NextMarker"] = b64(str(start + limit).encode())
        return answer

    def list_keys(self, call):
        self.account(call)
        return self.page(call, [{"KeyId": k.id, "KeyArn": k.arn} for k in self.keys.values()
                                if k.region == call.region], "Keys")

    # --- aliases ---

    def alias_name(self, call):
        name = call.need("AliasName")
        if not re.fullmatch(r"alias/[a-zA-Z0-9/_-]{1,250}", name):
            raise KmsError("ValidationException", f"1 validation error detected: Value '{name}' at 'aliasName' failed to "
                           "satisfy constraint: Member must satisfy regular expression pattern: ^alias/[a-zA-Z0-9/_-]+$")
        if name.startswith("alias/aws/"):
            raise KmsError("NotAuthorizedException", "alias/aws/ is reserved")
        return name

    def set_alias(self, call, there):
        name = self.alias_name(call)
        arn = f"arn:aws:kms:{call.region}:{ACCOUNT}:{name}"
        self.account(call)
        key = self.key(call, "TargetKeyId")
        if ((call.region, name) in self.aliases) != there:
            if there:
                raise KmsError("NotFoundException", f"Alias {arn} is not found.")
            raise KmsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
        self.aliases[call.region, name] = key.id

    def create_alias(self, call):
        self.set_alias(call, False)

    def update_alias(self, call):
        self.set_alias(call, True)

    def delete_alias(self, call):
        self.account(call)
        name = self.alias_name(call)
        if self.aliases.pop((call.region, name), None) is None:
            raise KmsError("NotFoundException", f"Alias arn:aws:kms:{call.region}:{ACCOUNT}:{name} is not found.")

    def list_aliases(self, call):
        self.account(call)
        of = call.get("KeyId")
        of = self.find(call, of, False).id if of else None
        found = [{"AliasName": name, "AliasArn": f"arn:aws:kms:{region}:{ACCOUNT}:{name}", "TargetKeyId": key_id,
                  "CreationDate": self.keys[region, key_id].created}
                 for (region, name), key_id in sorted(self.aliases.items())
                 if region == call.region and of in (None, key_id) and (region, key_id) in self.keys]
        if not of:  # one that AWS has made a name for, and no key yet
            found.append({"AliasName": "alias/aws/s3", "AliasArn": f"arn:aws:kms:{call.region}:{ACCOUNT}:alias/aws/s3"})
        return self.page(call, found, "Aliases")

    # --- grants ---

    def create_grant(self, call):
        key = self.key(call)
        operations = call.need("Operations", list)
        constraints = call.get("Constraints", dict) or {}
        if not operations or not set(operations) <= GRANTABLE:
            raise KmsError("ValidationException", "1 validation error detected: Value at 'operations' failed to satisfy "
                           "constraint: Member must satisfy enum value set")
        if not set(constraints) <= {"EncryptionContextSubset", "EncryptionContextEquals"}:
            raise KmsError("SerializationException")
        if not re.fullmatch(r"arn:aws:(iam|sts)::\d{12}:.+", call.need("GranteePrincipal")):
            raise KmsError("InvalidArnException", f"Invalid principal {call.get('GranteePrincipal')}")
        grant_id = hashlib.sha256(os.urandom(16)).hexdigest()
        token = b64(os.urandom(120))
        key.grants[grant_id] = {
            "grantee": call.get("GranteePrincipal"), "operations": operations, "constraints": constraints,
            "retiring": call.get("RetiringPrincipal"), "token": token, "created": Date(time.time()),
            "issuer": call.who.arn, "name": call.get("Name"), "known": time.time() + self.propagation}
        return {"GrantToken": token, "GrantId": grant_id}

    def list_grants(self, call):
        key = self.key(call)
        found = []
        for grant_id, g in key.grants.items():
            entry = {"KeyId": key.arn, "GrantId": grant_id, "CreationDate": g["created"],
                     "GranteePrincipal": g["grantee"], "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root",
                     "Operations": g["operations"]}
            entry |= {"Constraints": g["constraints"]} if g["constraints"] else {}
            entry |= {"Name": g["name"]} if g["name"] else {}
            entry |= {"RetiringPrincipal": g["retiring"]} if g["retiring"] else {}
            found.append(entry)
        return self.page(call, found, "Grants")

    def revoke_grant(self, call):
        key = self.key(call)
        if key.grants.pop(call.need("GrantId"), None) is None:
            raise KmsError("NotFoundException", f"Grant {call.get('GrantId')} does not exist")

    def retire_grant(self, call):
        token, grant_id = call.get("GrantToken"), call.get("GrantId")
        if not token:
            call.need("GrantId")
        for key in [k for k in self.keys.values() if k.region == call.region]:
            for i, g in list(key.grants.items()):
                if (token and g["token"] == token) or (not token and i == grant_id and
                                                       key is self.find(call, call.need("KeyId"), False)):
                    own = g["grantee"] == call.who.arn and "RetireGrant" in g["operations"]
                    if call.who.arn not in self.admins and g["retiring"] != call.who.arn and not own:
                        raise KmsError("AccessDeniedException", f"User: {call.who.arn} is not authorized to perform: "
                                       f"kms:RetireGrant on resource: {key.arn}")
                    del key.grants[i]
                    return
        if token:
            raise KmsError("InvalidGrantTokenException")
        raise KmsError("NotFoundException", f"Grant {grant_id} does not exist")

    # --- policies, rotation ---

    def get_policy(self, call):
        return {"Policy": self.key(call).policy, "PolicyName": "default"}

    def put_policy(self, call):
        key = self.key(call)
        try:
            policy = json.loads(call.need("Policy"))
            ok = all({"Effect", "Principal", "Action"} <= set(s) for s in listed(policy["Statement"]))
        except (ValueError, KeyError, TypeError):
            ok = False
        if not ok:
            raise KmsError("MalformedPolicyDocumentException")
        old, key.policy = key.policy, call.need("Policy")
        try:
            self.authorize(key, call, "PutKeyPolicy")
        except KmsError:
            key.policy = old
            if not call.get("BypassPolicyLockoutSafetyCheck", bool):
                raise KmsError("MalformedPolicyDocumentException", "The new key policy will not allow you to update the "
                               "key policy in the future.") from None
            key.policy = call.need("Policy")

    def rotatable(self, call):
        key = self.key(call)
        if key.origin != "AWS_KMS" or key.spec != "SYMMETRIC_DEFAULT":
            raise state_error(key, "origin", self.pending_as)
        return key

    def enable_rotation(self, call):
        days = call.get("RotationPeriodInDays", int, 365)
        if not 90 <= days <= 2560:
            raise KmsError("ValidationException", "1 validation error detected: Value at 'rotationPeriodInDays' failed to "
                           "satisfy constraint: Member must have value greater than or equal to 90")
        self.rotatable(call).rotation = days

    def disable_rotation(self, call):
        self.rotatable(call).rotation = None

    def rotation_status(self, call):
        key = self.key(call)
        answer = {"KeyId": key.arn, "KeyRotationEnabled": key.rotation is not None}
        if key.rotation:
            answer |= {"RotationPeriodInDays": key.rotation,
                       "NextRotationDate": Date(key.created + key.rotation * 86400)}
        return answer

    def rotate(self, call):
        key = self.rotatable(call)
        key.material.versions.append(os.urandom(32))
        key.material.rotated.append(Date(time.time()))
        return {"KeyId": key.arn}

    def list_rotations(self, call):
        key = self.key(call)
        return self.page(call, [{"KeyId": key.arn, "RotationDate": d, "RotationType": "ON_DEMAND"}
                                for d in key.material.rotated], "Rotations")

    # --- key material of one's own ---

    def external(self, call):
        key = self.key(call)
        if key.origin != "EXTERNAL":
            raise state_error(key, "origin", self.pending_as)
        return key

    def import_parameters(self, call):
        key = self.external(call)
        digests = {"RSAES_OAEP_SHA_256": "sha256", "RSAES_OAEP_SHA_1": "sha1"}
        if call.need("WrappingAlgorithm") not in digests or \
                call.need("WrappingKeySpec") not in ("RSA_2048", "RSA_3072", "RSA_4096"):
            raise KmsError("ValidationException", "this fake has other algorithms only")
        bits = call.need("WrappingKeySpec").split("_")[1]
        pem = subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"],
                             check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=pem, check=True,
                             capture_output=True).stdout
        key.parameters = {"pem": pem, "token": os.urandom(64), "digest": digests[call.get("WrappingAlgorithm")],
                          "until": Date(time.time() + 86400)}
        return {"KeyId": key.arn, "ImportToken": b64(key.parameters["token"]), "PublicKey": b64(der),
                "ParametersValidTo": key.parameters["until"]}

    def import_material(self, call):
        key = self.external(call)
        p = key.parameters
        if not p or not hmac.compare_digest(unb64(call.params, "ImportToken"), p["token"]):
            raise KmsError("InvalidImportTokenException")
        if p["until"] <= time.time():
            raise KmsError("ExpiredImportTokenException")
        wrapped = unb64(call.params, "EncryptedKeyMaterial")
        expires = (call.get("ExpirationModel") or "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES"
        valid_to = call.get("ValidTo", (int, float))
        if expires != (valid_to is not None):
            raise KmsError("ValidationException", "ValidTo and ExpirationModel do not belong together")
        with tempfile.NamedTemporaryFile() as f:
            f.write(p["pem"])
            f.flush()
            got = subprocess.run(["openssl", "pkeyutl", "-decrypt", "-inkey", f.name, "-pkeyopt",
                                  "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{p['digest']}"], input=wrapped,
                                 capture_output=True)
        if got.returncode or len(got.stdout) != 32:
            raise KmsError("InvalidCiphertextException")
        if key.imported not in (None, got.stdout):
            raise KmsError("IncorrectKeyMaterialException")
        key.imported = got.stdout
        key.material.versions = [got.stdout]
        key.valid_to = Date(valid_to) if valid_to is not None else None
        if key.state == "PendingImport":
            key.state = "Enabled"
        return {"KeyId": key.arn}

    def delete_material(self, call):
        key = self.external(call)
        if key.state != "PendingDeletion":
            key.state = "PendingImport"
        return {"KeyId": key.arn}


OPERATIONS = {
    "CreateKey": Kms.create_key, "DescribeKey": Kms.describe_key, "EnableKey": Kms.enable_key,
    "DisableKey": Kms.disable_key, "ScheduleKeyDeletion": Kms.schedule_deletion,
    "CancelKeyDeletion": Kms.cancel_deletion, "ReplicateKey": Kms.replicate_key, "ListKeys": Kms.list_keys,
    "Encrypt": Kms.encrypt, "Decrypt": Kms.decrypt, "ReEncrypt": Kms.re_encrypt,
    "GenerateDataKey": Kms.generate_shown, "GenerateDataKeyWithoutPlaintext": Kms.generate,
    "CreateAlias": Kms.create_alias, "UpdateAlias": Kms.update_alias, "DeleteAlias": Kms.delete_alias,
    "ListAliases": Kms.list_aliases,
    "CreateGrant": Kms.create_grant, "ListGrants": Kms.list_grants, "RevokeGrant": Kms.revoke_grant,
    "RetireGrant": Kms.retire_grant,
    "GetKeyPolicy": Kms.get_policy, "PutKeyPolicy": Kms.put_policy,
    "EnableKeyRotation": Kms.enable_rotation, "DisableKeyRotation": Kms.disable_rotation,
    "GetKeyRotationStatus": Kms.rotation_status, "RotateKeyOnDemand": Kms.rotate,
    "ListKeyRotations": Kms.list_rotations,
    "GetParametersForImport": Kms.import_parameters, "ImportKeyMaterial": Kms.import_material,
    "DeleteImportedKeyMaterial": Kms.delete_material,
}


def dumps(answer):
    """JSON with AWS's dates."""
    def plain(x):
        if isinstance(x, Date):
            return f"@date:{x / 1e9:.12f}E9@"
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(v) for v in x] if isinstance(x, list) else x

    return re.sub(r'"@date:([0-9.E]+)@"', r"\1", json.dumps(plain(answer), separators=(",", ":")))
