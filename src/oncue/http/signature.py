"""Signature Version 4: who signed a request, for which region and service, and whether rightly.

Source: "Create a signed AWS API request" in the IAM User Guide.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from oncue import arns
from oncue.errors import ServiceError
from oncue.http.keys import Key, Keys
from oncue.protocol import Request

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 300
EXPIRES_S_MAX = 604_800
EXPIRES = re.compile(r"[0-9]{1,6}")
HEADER = re.compile(
    ALGORITHM + r"\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]+)\s*$"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says about its signer; all empty when it is not signed."""

    access_key: str = ""
    date: str = ""
    region: str = arns.REGION_DEFAULT
    service: str | None = None
    headers: tuple[str, ...] = ()
    signature: str = ""
    presigned: bool = False


UNSIGNED = Signed()


@lru_cache(4096)
def _of_header(text: str) -> Signed:
    match = HEADER.match(text)
    return _of_parts(match[1], match[2], match[3], presigned=False) if match else UNSIGNED


def _of_parts(credential: str, headers: str, signature: str, *, presigned: bool) -> Signed:
    scope = credential.rsplit("/", 4)
    if len(scope) != 5 or scope[4] != "aws4_request":
        return UNSIGNED
    access_key, date, region, service, _ = scope
    return Signed(access_key, date, region, service, tuple(headers.split(";")), signature, presigned)


def of_request(request: Request) -> Signed:
    """The signer as the Authorization header or the presigned query says it."""
    if authorization := request.headers.get("authorization"):
        return _of_header(authorization)
    if "X-Amz-Credential=" in request.query:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        return _of_parts(
            query.get("X-Amz-Credential", ""),
            query.get("X-Amz-SignedHeaders", ""),
            query.get("X-Amz-Signature", ""),
            presigned=True,
        )
    return UNSIGNED


def authenticate(keys: Keys, signed: Signed, request: Request, now: float) -> str:
    """The account that the request speaks for. ServiceError 403 when signatures are checked and this one is
    not right.

    Codes: MissingAuthenticationToken, UnrecognizedClientException, InvalidSignatureException (wrong or too
    old).
    """
    if not keys.strict:
        key = keys.find(signed.access_key)
        assert key is not None, "every key is known when signatures are not checked"
        return key.account
    if not signed.signature:
        raise ServiceError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    found = keys.find(signed.access_key)
    if found is None:
        raise ServiceError(
            "UnrecognizedClientException", "The security token included in the request is invalid.", 403
        )
    _check(found, signed, request, now)
    return found.account


def _check(key: Key, signed: Signed, request: Request, now: float) -> None:
    query = parse_qsl(request.query, keep_blank_values=True)
    stamp = dict(query).get("X-Amz-Date", "") if signed.presigned else request.headers.get("x-amz-date", "")
    _check_time(stamp, _expires_s(dict(query).get("X-Amz-Expires", "0")) if signed.presigned else 0, now)
    digest = hashlib.sha256(_canonical(signed, request, query).encode()).hexdigest()
    scope = f"{stamp[:8]}/{signed.region}/{signed.service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    signing_key = _signing_key(key.secret, stamp[:8], signed.region, signed.service or "")
    wanted = hmac.new(signing_key, text.encode(), hashlib.sha256).hexdigest()
    if signed.date != stamp[:8] or not hmac.compare_digest(wanted.encode(), signed.signature.encode()):
        raise ServiceError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your "
            "AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
            403,
        )


def _expires_s(text: str) -> int:
    """How long a link is good. ServiceError 400 for anything but whole seconds up to a week."""
    if not EXPIRES.fullmatch(text) or int(text) > EXPIRES_S_MAX:
        raise ServiceError(
            "AuthorizationQueryParametersError", f"X-Amz-Expires must be a number up to {EXPIRES_S_MAX}.", 400
        )
    return int(text)


def _check_time(stamp: str, expires_s: int, now: float) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ServiceError(
            "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.", 403
        ) from None
    if now > signed_at + max(SKEW_S, expires_s):
        raise ServiceError("InvalidSignatureException", f"Signature expired: {stamp} is now too old.", 403)
    if now < signed_at - SKEW_S:
        raise ServiceError(
            "InvalidSignatureException", f"Signature not yet current: {stamp} is in the future.", 403
        )


def _canonical(signed: Signed, request: Request, query: list[tuple[str, str]]) -> str:
    # as it came, so encoded once already: services other than S3 do it twice
    path = quote(request.path, safe="/~-._")
    pairs = sorted(
        (quote(name, safe="~-._"), quote(value, safe="~-._"))
        for name, value in query
        if name != "X-Amz-Signature"
    )
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed.headers
    )
    stated = request.headers.get("x-amz-content-sha256", "")
    body = stated if stated == "UNSIGNED-PAYLOAD" else hashlib.sha256(request.body).hexdigest()
    return "\n".join(
        (
            request.method,
            path or "/",
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(signed.headers),
            body,
        )
    )


@lru_cache(1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
