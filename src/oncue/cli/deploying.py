"""Deploys a template to a running server: package, transform, plan, apply, watch. Also for `oncue demo`."""

import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from oncue.cli.clients import Clients
from oncue.cli.packaging import package
from oncue.cli.sam import transform, uses_sam
from oncue.errors import SetupError
from oncue.services.cloudformation import plan
from oncue.services.cloudformation.documents import Document, TemplateError, read
from oncue.services.cloudformation.intrinsics import Scope
from oncue.services.cloudformation.parameters import HIDDEN, as_text, resolve, typed
from oncue.services.cloudformation.resources import KINDS
from oncue.services.cloudformation.template import Template, build, parse

POLL_S = 0.2
EVENT_PAGES_MAX = 100
NO_UPDATES = "No updates are to be performed."
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
STACK = "AWS::CloudFormation::Stack"
REMAINS = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


class Audience(Protocol):
    """Who wants to know how it goes. `planned` may stop it by answering False."""

    def note(self, text: str) -> None: ...
    def planned(self, changes: list[plan.Change]) -> bool: ...
    def happened(self, event: dict[str, Any]) -> None: ...


class Silent:
    """Nobody wants to know."""

    def note(self, text: str) -> None: ...
    def planned(self, changes: list[plan.Change]) -> bool:
        return True

    def happened(self, event: dict[str, Any]) -> None: ...


class DeployFailed(Exception):
    """The stack did not become what was wanted; the text says why, as far as its events tell."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment came to. `status` is the stack's, empty after its deletion or when it was stopped."""

    stack_name: str
    status: str
    changed: bool
    changes: list[plan.Change] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)


def stack_name_of(template: Path) -> str:
    """The name of the folder that the template is in, as far as it can be a stack's name."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", template.resolve().parent.name).strip("-")
    return name if re.match(r"[A-Za-z]", name) else f"stack-{name}".rstrip("-")


def load(path: Path) -> Document:
    """The template as written. SetupError names the file and the line."""
    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"The template {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"The template {path} is not text in UTF-8.") from None
    except TemplateError as error:
        raise placed(path, None, error) from None


def placed(path: Path, source: Document | None, error: TemplateError) -> SetupError:
    """`file:line: sentence`, the line being that of the template as it was written."""
    line = error.line or (source.line(error.path) if source and error.path else None)
    return SetupError(f"{path}{f':{line}' if line else ''}: {error.placed()}")


def prepare(path: Path, clients: Clients, parameters: dict[str, str], audience: Audience) -> Template:
    """The template as it is sent: code uploaded, transform done, types and properties checked."""
    source = load(path)
    if not isinstance(source.value, dict):
        raise SetupError(f"{path}: Template format error: unsupported structure.")
    try:
        for line in package(source, path.parent, clients):
            audience.note(f"package {line}")
        body = transform(source, clients.session, parameters) if uses_sam(source) else source.value
        template = build(Document(body))
        plan.check(template, KINDS)
    except TemplateError as error:
        raise placed(path, source, error) from None
    return template


def deploy_stack(
    path: Path,
    stack_name: str | None = None,
    *,
    clients: Clients,
    parameters: dict[str, str] | None = None,
    audience: Audience | None = None,
) -> Deployed:
    """Make the stack what the template says, and wait until it is.

    SetupError for what is wrong on this side (template, code, no server), DeployFailed for what failed there.
    """
    told = audience or Silent()
    name = stack_name or stack_name_of(path)
    given = dict(parameters or {})
    cloudformation = clients.client("cloudformation")
    template = prepare(path, clients, given, told)
    with clients.answering():
        stack = _settled(cloudformation, name, told)
        kept = _kept(stack, template, given)
        changes = _planned(cloudformation, path, clients.region, stack, template, {**kept, **given}, name)
        if not told.planned(changes):
            return Deployed(name, "", False, changes)
        text = json.dumps(template.document.value)  # the translator's strings are a subclass
        request = {
            "StackName": name,
            "TemplateBody": text,
            "Parameters": [
                *({"ParameterKey": key, "UsePreviousValue": True} for key in kept),
                *({"ParameterKey": key, "ParameterValue": value} for key, value in given.items()),
            ],
            "Capabilities": CAPABILITIES,
        }
        last = _newest(cloudformation, stack["StackId"]) if stack else None
        if not _apply(cloudformation, stack, request):
            return _deployed(_described(cloudformation, name), changes, changed=False)
        return _deployed(_watched(cloudformation, name, stack, last, told), changes, changed=True)


def delete_stack(stack_name: str, *, clients: Clients, audience: Audience | None = None) -> bool:
    """Delete the stack and wait until it is gone; False when there was none."""
    told = audience or Silent()
    cloudformation = clients.client("cloudformation")
    with clients.answering():
        stack = _find(cloudformation, stack_name)
        if stack is None:
            return False
        seen = _newest(cloudformation, stack["StackId"])
        _asked(cloudformation.delete_stack, StackName=stack_name)
        _follow(cloudformation, stack["StackId"], seen, told, until=("DELETE_COMPLETE", "DELETE_FAILED"))
    return True


def _asked(operation: Any, **request: Any) -> Any:
    """One request; what the server refuses becomes a DeployFailed with its sentence."""
    from botocore.exceptions import ClientError, ParamValidationError

    try:
        return operation(**request)
    except ClientError as error:
        raise DeployFailed(error.response["Error"].get("Message", str(error))) from None
    except ParamValidationError as error:
        raise DeployFailed(str(error)) from None


def _find(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        return _described(cloudformation, name)
    except DeployFailed as error:
        if "does not exist" in str(error):
            return None
        raise


def _described(cloudformation: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = _asked(cloudformation.describe_stacks, StackName=name)["Stacks"][0]
    return found


def _settled(cloudformation: Any, name: str, told: Audience) -> dict[str, Any] | None:
    """The stack as it is once nothing goes on any more; the remains of a failed creation are deleted."""
    stack = _find(cloudformation, name)
    if stack is not None and stack["StackStatus"].endswith("_IN_PROGRESS"):
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            raise DeployFailed(f"The stack {name} waits for a change set to be executed; delete it first.")
        told.note(f"the stack {name} is in {stack['StackStatus']}: waiting for its end")
        seen = _newest(cloudformation, stack["StackId"])
        _follow(cloudformation, stack["StackId"], seen, told, until=(), check=False)
        stack = _find(cloudformation, name)
    if stack is not None and stack["StackStatus"] in REMAINS:
        told.note(f"the stack {name} is in {stack['StackStatus']}: deleting what is left of it")
        seen = _newest(cloudformation, stack["StackId"])
        _asked(cloudformation.delete_stack, StackName=name)
        _follow(cloudformation, stack["StackId"], seen, told, until=("DELETE_COMPLETE", "DELETE_FAILED"))
        return None
    return stack


def _kept(stack: dict[str, Any] | None, template: Template, given: dict[str, str]) -> dict[str, str]:
    """Parameters that keep the value which the stack has."""
    rows = stack.get("Parameters", []) if stack else []
    values = {row["ParameterKey"]: row["ParameterValue"] for row in rows}
    return {key: value for key, value in values.items() if key in template.parameters and key not in given}


def _planned(
    cloudformation: Any,
    path: Path,
    region: str,
    stack: dict[str, Any] | None,
    template: Template,
    parameters: dict[str, str],
    name: str,
) -> list[plan.Change]:
    """What will change, from the two templates alone: a resource is known by its name, not by its ARN."""
    try:
        resolved = _values(template, parameters)
        if stack is None:
            existing = {}
        else:
            body = _asked(cloudformation.get_template, StackName=name)["TemplateBody"]
            text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
            before = parse(text)
            rows = stack.get("Parameters", [])
            had = {row["ParameterKey"]: row["ParameterValue"] for row in rows}
            existing = plan.symbolic_existing(before, _scope(before, had, name, region, stack), KINDS)
        return plan.plan(template, _scope(template, resolved, name, region, stack), existing, KINDS)
    except TemplateError as error:
        raise placed(path, None, error) from None


def _values(template: Template, parameters: dict[str, str]) -> dict[str, str]:
    """Parameters with their defaults, checked here unless one of them is hidden from us; the server
    checks all."""
    if HIDDEN not in parameters.values():
        return resolve(template, parameters)
    rules = template.parameters.items()
    return {name: parameters.get(name, as_text(rule.get("Default", ""))) for name, rule in rules}


def _scope(
    template: Template, parameters: dict[str, str], name: str, region: str, stack: dict[str, Any] | None
) -> Scope:
    stack_id = stack["StackId"] if stack else f"arn:aws:cloudformation:{region}::stack/{name}/new"
    pseudo: dict[str, Any] = {
        "AWS::AccountId": stack_id.split(":")[4],
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": name,
        "AWS::StackId": stack_id,
        "AWS::NotificationARNs": [],
    }
    return plan.symbolic(lambda lookup: Scope(template, typed(template, parameters), pseudo, lookup))


def _apply(cloudformation: Any, stack: dict[str, Any] | None, request: dict[str, Any]) -> bool:
    """Begin to create or to update; False when the server sees nothing to do."""
    if stack is None:
        _asked(cloudformation.create_stack, **request)
        return True
    try:
        _asked(cloudformation.update_stack, **request)
    except DeployFailed as error:
        if NO_UPDATES in str(error):
            return False
        raise
    return True


def _watched(
    cloudformation: Any, name: str, stack: dict[str, Any] | None, seen: str | None, told: Audience
) -> dict[str, Any]:
    stack_id = stack["StackId"] if stack else _described(cloudformation, name)["StackId"]
    _follow(cloudformation, stack_id, seen, told, until=("CREATE_COMPLETE", "UPDATE_COMPLETE"))
    return _described(cloudformation, name)


def _newest(cloudformation: Any, stack_id: str) -> str | None:
    events = _asked(cloudformation.describe_stack_events, StackName=stack_id)["StackEvents"]
    return events[0]["EventId"] if events else None


def _since(cloudformation: Any, stack_id: str, seen: str | None) -> list[dict[str, Any]]:
    """The events after `seen`, oldest first."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    for _ in range(EVENT_PAGES_MAX):
        page = _asked(cloudformation.describe_stack_events, StackName=stack_id, **token)
        for event in page["StackEvents"]:
            if event["EventId"] == seen:
                return found[::-1]
            found.append(event)
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    return found[::-1]


def _follow(
    cloudformation: Any,
    stack_id: str,
    seen: str | None,
    told: Audience,
    *,
    until: tuple[str, ...],
    check: bool = True,
) -> None:
    """Tell every event until the stack's status is no longer in progress. DeployFailed unless it is in
    `until`
    (and, for a deletion, complete)."""
    pause = threading.Event()
    reasons: list[str] = []
    while True:
        for event in _since(cloudformation, stack_id, seen):
            seen = event["EventId"]
            told.happened(event)
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
                reasons.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
        status = _described(cloudformation, stack_id)["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            break
        pause.wait(POLL_S)
    for event in _since(cloudformation, stack_id, seen):
        told.happened(event)
    if check and (status not in until or status.endswith("_FAILED")):
        raise DeployFailed("\n".join([f"The stack is in {status}.", *reasons]))


def _deployed(stack: dict[str, Any], changes: list[plan.Change], *, changed: bool) -> Deployed:
    outputs = stack.get("Outputs", [])
    return Deployed(
        stack["StackName"],
        stack["StackStatus"],
        changed,
        changes,
        {row["OutputKey"]: row["OutputValue"] for row in outputs},
        {row["OutputKey"]: row["Description"] for row in outputs if row.get("Description")},
    )
