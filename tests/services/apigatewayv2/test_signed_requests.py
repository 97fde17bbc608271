"""Routes with AWS_IAM behind a door that checks signatures."""

import http.client
import pathlib
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from tests import running

ACCOUNT = "111122223333"


def test_a_request_is_signed_rightly_or_stays_outside(tmp_path: pathlib.Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[MINE]\nsecret = "test"\naccount = "{ACCOUNT}"\n'
        '[THEIRS]\nsecret = "test"\naccount = "444455556666"\n'
    )
    with running.serving(f"sqlite:///{tmp_path}/o.db", tmp_path, flags=("--auth", str(keys))) as server:
        gateway = server.client("apigatewayv2", "MINE")
        api = gateway.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
        target = gateway.create_integration(
            ApiId=api,
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="GET",
            IntegrationUri=f"{server.endpoint}/health",
            PayloadFormatVersion="1.0",
        )["IntegrationId"]
        gateway.create_route(
            ApiId=api, RouteKey="GET /a", Target=f"integrations/{target}", AuthorizationType="AWS_IAM"
        )
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)

        def status(key: str, secret: str, service: str = "execute-api", sign: bool = True) -> int:
            host = f"{api}.execute-api.us-east-1.localhost:{server.port}"
            request = botocore.awsrequest.AWSRequest("GET", f"http://{host}/a?x=1", headers={"Host": host})
            credentials = botocore.credentials.Credentials(key, secret)
            if sign:
                botocore.auth.SigV4Auth(credentials, service, "us-east-1").add_auth(request)
            return ask(server.port, "/a?x=1", dict(request.headers))

        assert status("MINE", "test") == 200
        assert status("MINE", "wrong") == 403
        assert status("THEIRS", "test") == 403, "another account"
        assert status("NOBODY", "test") == 403
        assert status("MINE", "test", service="lambda") == 403
        assert status("", "", sign=False) == 403


def ask(port: int, path: str, headers: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status
