"""A function's resource policy and the tags of functions and mappings: kept as data."""

from typing import Any

import msgspec

from oncue import arns
from oncue.errors import ServiceError
from oncue.services import Call, reads_only
from oncue.services.lambda_ import functions, mappings, names
from oncue.services.lambda_.configuration import invalid
from oncue.services.lambda_.sequencing import settings
from oncue.store import Row

POLICY_BYTES_MAX = 20_480
MISSING = "The resource you requested does not exist."


class Permissions:
    """Statements are stored and shown; Oncue does not check them when a function is invoked."""

    def add_permission(
        self,
        call: Call,
        *,
        FunctionName: str,
        StatementId: str,
        Action: str,
        Principal: str,
        SourceArn: str | None = None,
        SourceAccount: str | None = None,
        FunctionUrlAuthType: str | None = None,
        InvokedViaFunctionUrl: bool | None = None,
        EventSourceToken: str | None = None,
        PrincipalOrgID: str | None = None,
        Qualifier: str | None = None,
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        row = functions.load(call, name, lock=True)
        functions.check_revision(row, RevisionId)
        statements = _statements(row)
        if any(statement["Sid"] == StatementId for statement in statements):
            raise ServiceError(
                "ResourceConflictException",
                f"The statement id ({StatementId}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement.",
                409,
                Type="User",
            )
        equal = {
            "AWS:SourceAccount": SourceAccount,
            "lambda:FunctionUrlAuthType": FunctionUrlAuthType,
            "lambda:EventSourceToken": EventSourceToken,
            "aws:PrincipalOrgID": PrincipalOrgID,
        }
        statement: dict[str, Any] = {
            "Sid": StatementId,
            "Effect": "Allow",
            "Principal": _principal(Principal),
            "Action": Action,
            "Resource": name.asked_arn,
        }
        condition: dict[str, Any] = {}
        if chosen := {key: value for key, value in equal.items() if value is not None}:
            condition["StringEquals"] = chosen
        if SourceArn is not None:
            condition["ArnLike"] = {"AWS:SourceArn": SourceArn}
        if InvokedViaFunctionUrl is not None:
            condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(InvokedViaFunctionUrl).lower()}
        if condition:
            statement["Condition"] = condition
        _keep(call, row, [*statements, statement])
        return {"Statement": _json(statement)}

    @reads_only
    def get_policy(self, call: Call, *, FunctionName: str, Qualifier: str | None = None) -> dict[str, Any]:
        row = functions.load(call, names.read(FunctionName, call.account, call.region, Qualifier))
        statements = _statements(row)
        if not statements:
            raise ServiceError("ResourceNotFoundException", MISSING, 404, Type="User")
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {"Policy": _json(policy), "RevisionId": row["revision"]}

    def remove_permission(
        self,
        call: Call,
        *,
        FunctionName: str,
        StatementId: str,
        Qualifier: str | None = None,
        RevisionId: str | None = None,
    ) -> None:
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        row = functions.load(call, name, lock=True)
        functions.check_revision(row, RevisionId)
        kept = [statement for statement in _statements(row) if statement["Sid"] != StatementId]
        if len(kept) == len(_statements(row)):
            sentence = f"Statement {StatementId} is not found in resource policy."
            raise ServiceError("ResourceNotFoundException", sentence, 404, Type="User")
        _keep(call, row, kept)

    def tag_resource(self, call: Call, *, Resource: str, Tags: dict[str, str]) -> None:
        _retag(call, Resource, Tags, [])

    def untag_resource(self, call: Call, *, Resource: str, TagKeys: list[str]) -> None:
        _retag(call, Resource, {}, TagKeys)

    @reads_only
    def list_tags(self, call: Call, *, Resource: str) -> dict[str, Any]:
        _, row = _tagged(call, Resource, lock=False)
        return {"Tags": msgspec.json.decode(row["tags"])}


def _retag(call: Call, resource: str, added: dict[str, str], removed: list[str]) -> None:
    kind, row = _tagged(call, resource, lock=True)
    old: dict[str, str] = msgspec.json.decode(row["tags"])
    tags = {key: value for key, value in (old | added).items() if key not in removed}
    if kind == "function":
        functions.set_tags(call, row, tags)
        settings.refresh_function(call, names.FunctionName(row["account"], row["region"], row["name"], None))
        call.tx.wake(mappings.TOPIC)
    else:
        mappings.set_tags(call, row, tags)


def _tagged(call: Call, resource: str, *, lock: bool) -> tuple[str, Row]:
    """("function" | "event-source-mapping", its row)."""
    try:
        kind, _, rest = arns.parse(resource).resource.partition(":")
    except ValueError:
        kind, rest = "", ""
    if kind == "event-source-mapping":
        return kind, mappings.load(call, rest, lock=lock)
    name = names.read(resource, call.account, call.region) if kind == "function" else None
    if name is None or name.qualifier:
        raise invalid(
            "Tags on function aliases and versions are not supported. Please specify either a function ARN."
        )
    return kind, functions.load(call, name, lock=lock)


def _principal(principal: str) -> Any:
    if principal == "*":
        return "*"
    if principal.isdigit() and len(principal) == 12:
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    return {"AWS" if principal.startswith("arn:") else "Service": principal}


def _statements(row: Row) -> list[dict[str, Any]]:
    return msgspec.json.decode(row["policy"], type=list[dict[str, Any]])


def _keep(call: Call, row: Row, statements: list[dict[str, Any]]) -> None:
    policy = _json(statements)
    if len(policy.encode()) > POLICY_BYTES_MAX:
        sentence = (
            f"The final policy size ({len(policy.encode())}) is bigger than the limit ({POLICY_BYTES_MAX})."
        )
        raise ServiceError("PolicyLengthExceededException", sentence, 400, Type="User")
    functions.set_policy(call, row, policy)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
