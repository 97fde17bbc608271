"""Our check of Signature Version 4 against botocore's signer."""

import pathlib

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from oncue import clock
from oncue.errors import ServiceError, SetupError
from oncue.http import signature
from oncue.http.keys import Key, Keys, read
from oncue.protocol import Request

KEYS = Keys({"AKIDEXAMPLE": Key("wJalr", "123456789012")})
URLS = [
    "http://127.0.0.1:1/",
    "http://host/path/with%20space/x%2Fy?b=2&a=1&a=0&empty=",
    "http://host/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations",
    "http://host/%C3%A4?q=%C3%A4%20b",
]


def signed(url: str, *, secret: str = "wJalr", key: str = "AKIDEXAMPLE", presign: bool = False) -> Request:
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage"}
    method, body = ("GET", b"") if presign else ("POST", b"{}")
    request = botocore.awsrequest.AWSRequest(method, url, data=body, headers=headers)
    credentials = botocore.credentials.Credentials(key, secret)
    kind = botocore.auth.SigV4QueryAuth if presign else botocore.auth.SigV4Auth
    kind(credentials, "sqs", "eu-west-1").add_auth(request)
    prepared = request.prepare()
    rest = prepared.url.split("://", 1)[1].partition("/")
    path, _, query = f"/{rest[2]}".partition("?")
    headers = {
        name.lower(): value if isinstance(value, str) else value.decode()
        for name, value in prepared.headers.items()
    }
    return Request(method, path, query, {**headers, "host": rest[0]}, body)


def check(request: Request, now: float | None = None) -> str:
    who = signature.of_request(request)
    return signature.authenticate(KEYS, who, request, clock.now() if now is None else now)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("presign", [False, True], ids=["header", "query"])
def test_what_botocore_signs_is_accepted(url: str, presign: bool) -> None:
    request = signed(url, presign=presign)
    assert signature.of_request(request).region == "eu-west-1"
    assert signature.of_request(request).service == "sqs"
    assert check(request) == "123456789012"


@pytest.mark.parametrize("url", URLS)
def test_any_change_is_refused(url: str) -> None:
    request = signed(url)
    headers = {**request.headers, "x-amz-target": "Other"}
    changed = [
        Request("PUT", request.path, request.query, request.headers, request.body),
        Request("POST", request.path + "x", request.query, request.headers, request.body),
        Request("POST", request.path, request.query + "&x=1", request.headers, request.body),
        Request("POST", request.path, request.query, headers, request.body),
        Request("POST", request.path, request.query, request.headers, b"{ }"),
        signed(url, secret="other"),
    ]
    for request in changed:
        with pytest.raises(ServiceError, match="InvalidSignatureException") as caught:
            check(request)
        assert caught.value.status == 403


def test_an_old_or_unknown_or_missing_signature_is_refused() -> None:
    request = signed(URLS[0])
    for now in (clock.now() + 301, clock.now() - 301):
        with pytest.raises(ServiceError, match="InvalidSignatureException"):
            check(request, now)
    with pytest.raises(ServiceError, match="UnrecognizedClientException"):
        check(signed(URLS[0], key="AKIDOTHER"))
    with pytest.raises(ServiceError, match="MissingAuthenticationToken"):
        check(Request("POST", "/", "", {}, b""))


def test_functions_sign_with_a_key_of_their_account() -> None:
    name, secret = KEYS.of_functions("210987654321")
    assert check(signed(URLS[0], key=name, secret=secret)) == "210987654321"
    with pytest.raises(ServiceError):
        check(signed(URLS[0], key=name, secret="guess"))


def test_without_auth_the_key_may_be_the_account() -> None:
    for key, account in (("123456789012", "123456789012"), ("test", "000000000000")):
        request = signed(URLS[0], key=key)
        assert signature.authenticate(Keys(), signature.of_request(request), request, 0) == account


def test_a_broken_key_file_is_refused_with_its_fault(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[A]\nsecret = "s"\naccount = "123456789012"\n[B]\nsecret = "t"\n')
    assert read(path).find("B") == Key("t", "000000000000")
    for text, fault in (("", "no key"), ("[A]\n", r"\[A\] needs secret"), ("[A", "not TOML")):
        path.write_text(text)
        with pytest.raises(SetupError, match=fault):
            read(path)


def test_strange_links_are_refused_not_failed() -> None:
    assert signature.of_request(Request("GET", "/", "fooX-Amz-Credential=x", {}, b"")).access_key == ""
    link = signed(URLS[0], presign=True)
    name = link.query.partition("X-Amz-Signature=")[0]
    for query in (
        f"{name}X-Amz-Signature=%C3%A9",
        link.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=soon"),
        link.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=" + "9" * 5_000),
        link.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=-1"),
    ):
        assert query != link.query
        with pytest.raises(ServiceError) as caught:
            check(Request("GET", link.path, query, link.headers, b""))
        assert caught.value.status in (400, 403)
