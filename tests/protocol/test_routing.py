"""Which operation a request asks for, and what is said to one that asks for none."""

import pytest

from oncue import protocol
from oncue.errors import ServiceError
from oncue.protocol import Request

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def found(
    method: str,
    path: str,
    query: str = "",
    signed: str | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> str:
    route = protocol.route(Request(method, path, query, headers or {}, body), signed)
    return f"{route.service}.{route.operation.name}"


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/2015-03-31/functions", "", "lambda.ListFunctions"),
        ("GET", "/2015-03-31/functions/", "MaxItems=1", "lambda.ListFunctions"),
        ("POST", "/2015-03-31/functions", "", "lambda.CreateFunction"),
        ("GET", "/2015-03-31/functions/f", "", "lambda.GetFunction"),
        ("POST", "/2015-03-31/functions/f/invocations", "", "lambda.Invoke"),
        ("GET", "/2018-10-31/layers/l/versions", "", "lambda.ListLayerVersions"),
        ("GET", "/2018-10-31/layers", "", "lambda.ListLayers"),
        ("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=a", "lambda.GetLayerVersionByArn"),
        (
            "GET",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "",
            "lambda.GetProvisionedConcurrencyConfig",
        ),
        (
            *("GET", "/2019-09-30/functions/f/provisioned-concurrency", "List=ALL"),
            "lambda.ListProvisionedConcurrencyConfigs",
        ),
        ("GET", "/v2/apis", "", "apigatewayv2.GetApis"),
        ("PUT", "/v2/apis", "basepath=x", "apigatewayv2.ImportApi"),
        ("DELETE", "/v2/apis/a/routes/r", "", "apigatewayv2.DeleteRoute"),
        ("POST", "/schedules/s", "", "scheduler.CreateSchedule"),
        ("GET", "/v1/pipes/p", "", "pipes.DescribePipe"),
    ],
)
def test_paths(method: str, path: str, query: str, operation: str) -> None:
    signed = {"apigatewayv2": "apigateway"}.get(service := operation.split(".")[0], service)
    assert found(method, path, query) == operation
    assert found(method, path, query, signed) == operation


def test_labels_are_kept_as_they_came() -> None:
    request = Request("GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Ax%2Fy", "", {}, b"")
    assert protocol.route(request, "lambda").labels == {"Resource": "arn%3Aaws%3Alambda%3Ax%2Fy"}


def test_actions_by_scope_by_version_and_by_being_the_only_one() -> None:
    assert found("POST", "/", signed="sns", headers=FORM, body=b"Action=Publish") == "sns.Publish"
    assert (
        found("POST", "/", headers=FORM, body=b"Action=TagResource&Version=2010-03-31") == "sns.TagResource"
    )
    assert found("POST", "/", headers=FORM, body=b"Action=GetCallerIdentity") == "sts.GetCallerIdentity"
    assert found("GET", "/", "Action=ListQueues&Version=2012-11-05") == "sqs.ListQueues"
    assert found("POST", "/1/q", "Action=PurgeQueue", headers=FORM) == "sqs.PurgeQueue"


def test_a_payload_that_looks_like_a_form_is_a_payload() -> None:
    path = "/2015-03-31/functions/f/invocations"
    request = Request("POST", path, "", FORM, b'{"a": "&b=Action=c&b=d"}')
    route = protocol.route(request, None)
    assert protocol.decode(route, request) == {"FunctionName": "f", "Payload": b'{"a": "&b=Action=c&b=d"}'}


@pytest.mark.parametrize(
    ("request_", "signed", "code", "status", "says"),
    [
        (
            Request("POST", "/", "", {"x-amz-target": "AmazonSQS.Eat"}, b""),
            None,
            "Operation",
            501,
            "sqs .*'Eat'",
        ),
        (
            Request("POST", "/", "", {"x-amz-target": "AmazonSQS"}, b""),
            None,
            "UnknownService",
            404,
            "AmazonSQS",
        ),
        (
            Request("POST", "/", "", {"x-amz-target": "Kinesis_1.Put"}, b""),
            None,
            "Service",
            404,
            "Kinesis_1.Put",
        ),
        (
            Request("POST", "/", "", FORM, b"Action=Eat&Version=2010-03-31"),
            "sns",
            "InvalidAction",
            501,
            "'Eat'",
        ),
        (Request("POST", "/", "", FORM, b"Action=Eat"), "ec2", "UnknownService", 404, "'ec2'"),
        (Request("POST", "/", "", FORM, b"Action=Eat&Version=1"), None, "UnknownService", 404, "'Eat'"),
        (Request("GET", "/nothing/here", "", {}, b""), None, "Operation", 404, "GET /nothing/here"),
        (Request("PATCH", "/v2/apis", "", {}, b""), "apigateway", "Operation", 404, "apigatewayv2"),
        (Request("GET", "/bucket", "", {}, b""), "s3", "UnknownService", 404, "'s3'"),
        (Request("POST", "/", "", FORM, b"A=b"), "sns", "MissingAction", 400, "missing an action"),
        (
            Request("POST", "/", "", FORM, b"Action=Publish&A=%ff"),
            "sns",
            "MalformedInput",
            400,
            "form fields",
        ),
        (
            Request("POST", "/", "", FORM, b"Action=Publish&A=1&A=2"),
            "sns",
            "MalformedInput",
            400,
            "given twice",
        ),
        (Request("GET", "/v2/apis", "a=%ff", {}, b""), None, "SerializationException", 400, "query string"),
    ],
)
def test_what_leads_nowhere(request_: Request, signed: str | None, code: str, status: int, says: str) -> None:
    with pytest.raises(ServiceError, match=says) as refused:
        protocol.route(request_, signed)
    assert code in refused.value.code
    assert refused.value.status == status
    reply = protocol.encode_error(None, request_, refused.value, "id-1")
    assert reply.status == status
    assert reply.headers["x-amzn-requestid"] == "id-1"
    kind = reply.headers["content-type"]
    assert kind == ("application/x-amz-json-1.0" if "x-amz-target" in request_.headers else kind)
    assert (kind == "text/xml") == (request_.headers == FORM)
    assert refused.value.code.encode() in reply.body + reply.headers.get("x-amzn-errortype", "").encode()
