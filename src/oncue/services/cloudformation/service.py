"""The CloudFormation API: stacks are written down here and made in the background."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from oncue import clock
from oncue.errors import ServiceError, SetupError
from oncue.services import Call, Service, reads_only
from oncue.services.cloudformation import change_sets, plan, records, runner, views
from oncue.services.cloudformation.documents import Document, TemplateError
from oncue.services.cloudformation.intrinsics import Unknown
from oncue.services.cloudformation.parameters import as_text, resolve
from oncue.services.cloudformation.records import Settings, Stack, Target, demand, find
from oncue.services.cloudformation.resources import KINDS
from oncue.services.cloudformation.steps import outputs_of
from oncue.services.cloudformation.template import Template, build, parse
from oncue.store import blobs

TEMPLATE_BYTES_MAX = 1_048_576  # AWS takes 51,200 in the request and 1 MB by address; we take 1 MB either way
ARTIFACT = re.compile(r"/_oncue/artifacts/([0-9a-f]{64})/?")
READY = frozenset(
    ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE"]
)
CREATING = ("CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
CAPABILITIES = {"CAPABILITY_IAM": {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}}
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")


def refuse(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


class Cloudformation(Service):
    """Stacks of templates. An operation answers when it is written down; DescribeStackEvents tells how
    it goes."""

    name = "cloudformation"
    refusal = "ValidationError"

    def __init__(self, claim_s: float = runner.CLAIM_S) -> None:
        self._runner = runner.Runner(claim_s)

    async def start(self, call: Call) -> None:
        self._runner.start(call)

    async def stop(self) -> None:
        await self._runner.stop()

    async def create_stack(
        self,
        call: Call,
        *,
        StackName: str,
        TemplateBody: str | None = None,
        TemplateURL: str | None = None,
        Parameters: list[dict[str, Any]] | None = None,
        Capabilities: list[str] | None = None,
        Tags: list[dict[str, str]] | None = None,
        DisableRollback: bool | None = None,
        OnFailure: str | None = None,
        ClientRequestToken: str | None = None,
        EnableTerminationProtection: bool = False,
        RoleARN: str | None = None,
    ) -> dict[str, Any]:
        if not STACK_NAME.fullmatch(StackName):
            raise refuse(
                f"1 validation error detected: Value '{StackName}' at 'stackName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        if DisableRollback is not None and OnFailure is not None:
            raise refuse("You can only specify one of DisableRollback and OnFailure.")
        template, target = await read_target(
            call, TemplateBody, TemplateURL, Parameters, Tags, Capabilities, None
        )
        settings = Settings(
            on_failure="DO_NOTHING" if DisableRollback else OnFailure or "ROLLBACK",
            base_url=call.base_url,
            token=ClientRequestToken,
            role_arn=RoleARN,
            protected=EnableTerminationProtection,
        )

        def write(inner: Call) -> dict[str, Any]:
            there = find(inner, StackName, lock=True)
            if there is not None and there.status != "REVIEW_IN_PROGRESS":
                if ClientRequestToken and there.settings.token == ClientRequestToken:
                    return {"StackId": there.id}
                raise ServiceError("AlreadyExistsException", f"Stack [{StackName}] already exists")
            if there is not None:
                raise refuse(
                    f"Stack:{there.id} is in REVIEW_IN_PROGRESS state and can not be created: delete it or "
                    "execute its change set."
                )
            stack = new_stack(inner, StackName, target, settings)
            begin(inner, stack, "CREATE_IN_PROGRESS")
            return {"StackId": stack.id}

        check_resources(template)
        return await call.transact(write)

    async def update_stack(
        self,
        call: Call,
        *,
        StackName: str,
        TemplateBody: str | None = None,
        TemplateURL: str | None = None,
        UsePreviousTemplate: bool = False,
        Parameters: list[dict[str, Any]] | None = None,
        Capabilities: list[str] | None = None,
        Tags: list[dict[str, str]] | None = None,
        DisableRollback: bool = False,
        ClientRequestToken: str | None = None,
        RoleARN: str | None = None,
    ) -> dict[str, Any]:
        before = await call.transact(lambda inner: demand(inner, StackName, deleted=False), reads_only=True)
        kept = before.target
        if UsePreviousTemplate:
            if TemplateBody or TemplateURL:
                raise refuse("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
            TemplateBody = kept.template
        template, target = await read_target(
            call, TemplateBody, TemplateURL, Parameters, Tags, Capabilities, kept
        )
        check_resources(template)

        def write(inner: Call) -> dict[str, Any]:
            stack = demand(inner, StackName, lock=True, deleted=False)
            must_be_ready(stack, "updated")
            if not differs(inner, stack, target):
                raise refuse("No updates are to be performed.")
            apply(inner, stack, target, disable_rollback=DisableRollback, token=ClientRequestToken)
            return {"StackId": stack.id}

        return await call.transact(write)

    def delete_stack(
        self,
        call: Call,
        *,
        StackName: str,
        RetainResources: list[str] | None = None,
        ClientRequestToken: str | None = None,
        RoleARN: str | None = None,
    ) -> None:
        stack = find(call, StackName, lock=True, deleted=False)
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return
        if stack.settings.protected:
            raise refuse(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if RetainResources and stack.status != "DELETE_FAILED":
            raise refuse(
                f"Invalid operation on stack [{stack.id}]. Specify RetainResources only for stacks in "
                "DELETE_FAILED state."
            )
        if stack.status.endswith("_IN_PROGRESS") and stack.status not in CREATING:
            raise refuse(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        change_sets.forget(call, stack.id)
        settings = {"retained": RetainResources or [], "token": ClientRequestToken}
        stack.settings = records.with_settings(stack, **settings)
        if stack.status == "REVIEW_IN_PROGRESS":
            stack.live, stack.deleted_at = False, call.now
            records.enter(call, stack, "DELETE_COMPLETE", "User Initiated")
            return
        begin(call, stack, "DELETE_IN_PROGRESS")

    @reads_only
    def describe_stacks(
        self, call: Call, *, StackName: str | None = None, NextToken: str | None = None
    ) -> dict[str, Any]:
        if StackName is not None:
            return {"Stacks": [views.stack(demand(call, StackName))]}
        rows, token = views.page(call, views.LIVE_STACKS, NextToken)
        shown = [views.stack(records.stack_of(row)) for row in rows]
        return {"Stacks": shown, "NextToken": token}

    @reads_only
    def list_stacks(
        self, call: Call, *, NextToken: str | None = None, StackStatusFilter: list[str] | None = None
    ) -> dict[str, Any]:
        rows, token = views.page(call, views.ALL_STACKS, NextToken)
        stacks = [records.stack_of(row) for row in rows]
        wanted = [one for one in stacks if not StackStatusFilter or one.status in StackStatusFilter]
        return {"StackSummaries": [views.summary(one) for one in wanted], "NextToken": token}

    @reads_only
    def describe_stack_events(
        self, call: Call, *, StackName: str, NextToken: str | None = None
    ) -> dict[str, Any]:
        stack = find(call, StackName)
        if stack is None:
            raise refuse(f"Stack [{StackName}] does not exist")
        rows, token = views.page(call, views.EVENTS, NextToken, stack_id=stack.id)
        return {"StackEvents": [views.event(row) for row in rows], "NextToken": token}

    @reads_only
    def describe_stack_resource(
        self, call: Call, *, StackName: str, LogicalResourceId: str
    ) -> dict[str, Any]:
        stack = resource_stack(call, StackName)
        held = records.resources(call, stack.id).get(LogicalResourceId)
        if held is None or (stack.live and not held.there):
            raise refuse(f"Resource {LogicalResourceId} does not exist for stack {StackName}")
        return {"StackResourceDetail": views.detail(stack, held)}

    @reads_only
    def describe_stack_resources(
        self,
        call: Call,
        *,
        StackName: str | None = None,
        LogicalResourceId: str | None = None,
        PhysicalResourceId: str | None = None,
    ) -> dict[str, Any]:
        if (StackName is None) == (PhysicalResourceId is None):
            raise refuse("Either StackName or PhysicalResourceId must be specified, but not both.")
        if StackName is None:
            stack = views.owner(call, str(PhysicalResourceId))
            if stack is None:
                raise refuse(f"Stack for {PhysicalResourceId} does not exist")
        else:
            stack = resource_stack(call, StackName)
        shown = views.held(call, stack)[: views.RESOURCES_DESCRIBED_MAX]
        if LogicalResourceId is not None:
            shown = [one for one in shown if one.logical_id == LogicalResourceId]
        return {"StackResources": [views.resource(stack, one) for one in shown]}

    @reads_only
    def list_stack_resources(
        self, call: Call, *, StackName: str, NextToken: str | None = None
    ) -> dict[str, Any]:
        stack = demand(call, StackName)
        shown, token = views.cut(views.held(call, stack), NextToken)
        return {"StackResourceSummaries": [views.resource_summary(one) for one in shown], "NextToken": token}

    @reads_only
    def get_template(
        self,
        call: Call,
        *,
        StackName: str | None = None,
        ChangeSetName: str | None = None,
        TemplateStage: str | None = None,
    ) -> dict[str, Any]:
        if ChangeSetName is not None:
            body = change_sets.demand(call, ChangeSetName, StackName).target.template
        elif StackName is not None:
            body = demand(call, StackName).target.template
        else:
            raise refuse("One of StackName or ChangeSetName must be specified.")
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    async def validate_template(
        self, call: Call, *, TemplateBody: str | None = None, TemplateURL: str | None = None
    ) -> dict[str, Any]:
        template = (await read_template(call, TemplateBody, TemplateURL))[1]
        return views.validated(template)

    async def get_template_summary(
        self,
        call: Call,
        *,
        TemplateBody: str | None = None,
        TemplateURL: str | None = None,
        StackName: str | None = None,
    ) -> dict[str, Any]:
        if StackName is not None:
            stack = await call.transact(lambda inner: demand(inner, StackName), reads_only=True)
            return views.template_summary(stack.target.parsed())
        return views.template_summary((await read_template(call, TemplateBody, TemplateURL))[1])

    async def create_change_set(
        self,
        call: Call,
        *,
        StackName: str,
        ChangeSetName: str,
        TemplateBody: str | None = None,
        TemplateURL: str | None = None,
        UsePreviousTemplate: bool = False,
        Parameters: list[dict[str, Any]] | None = None,
        Capabilities: list[str] | None = None,
        Tags: list[dict[str, str]] | None = None,
        ChangeSetType: str = "UPDATE",
        Description: str | None = None,
        RoleARN: str | None = None,
        ClientToken: str | None = None,
    ) -> dict[str, Any]:
        there = await call.transact(lambda inner: find(inner, StackName, deleted=False), reads_only=True)
        if ChangeSetType not in ("CREATE", "UPDATE"):
            raise refuse(f"Oncue does not support the ChangeSetType {ChangeSetType}.")
        kept = there.target if there is not None and ChangeSetType == "UPDATE" else None
        if UsePreviousTemplate and kept is not None:
            TemplateBody = kept.template
        template, target = await read_target(
            call, TemplateBody, TemplateURL, Parameters, Tags, Capabilities, kept
        )
        check_resources(template)

        def write(inner: Call) -> dict[str, Any]:
            stack = find(inner, StackName, lock=True, deleted=False)
            if ChangeSetType == "CREATE":
                if stack is None:
                    settings = Settings(base_url=call.base_url, role_arn=RoleARN)
                    stack = new_stack(inner, StackName, target, settings)
                    records.enter(inner, stack, "REVIEW_IN_PROGRESS", "User Initiated")
                elif stack.status != "REVIEW_IN_PROGRESS":
                    raise refuse(
                        f"Stack [{StackName}] already exists and cannot be created again with the changeSet "
                        f"[{ChangeSetName}]."
                    )
                changes = changes_of(inner, stack, target, {})
                changed = True
            else:
                if stack is None:
                    raise refuse(f"Stack [{StackName}] does not exist")
                must_be_ready(stack, "updated")
                changes = changes_of(
                    inner, stack, target, records.existing(records.resources(inner, stack.id))
                )
                changed = differs(inner, stack, target)
            made = change_sets.create(
                inner, stack, ChangeSetName, ChangeSetType, target, changes, changed, Description
            )
            return {"Id": made, "StackId": stack.id}

        return await call.transact(write)

    @reads_only
    def describe_change_set(
        self,
        call: Call,
        *,
        ChangeSetName: str,
        StackName: str | None = None,
        NextToken: str | None = None,
    ) -> dict[str, Any]:
        return change_sets.describe(call, change_sets.demand(call, ChangeSetName, StackName), NextToken)

    @reads_only
    def list_change_sets(self, call: Call, *, StackName: str, NextToken: str | None = None) -> dict[str, Any]:
        return change_sets.listed(call, demand(call, StackName))

    def execute_change_set(
        self,
        call: Call,
        *,
        ChangeSetName: str,
        StackName: str | None = None,
        ClientRequestToken: str | None = None,
        DisableRollback: bool = False,
    ) -> None:
        found = change_sets.demand(call, ChangeSetName, StackName)
        stack = demand(call, found.stack_id, lock=True)
        if found.status != "CREATE_COMPLETE" or found.execution != "AVAILABLE":
            raise ServiceError(
                "InvalidChangeSetStatus",
                f"ChangeSet [{found.id}] cannot be executed in its current status of [{found.status}]",
            )
        change_sets.forget(call, stack.id)
        if found.kind == "CREATE":
            how = "DO_NOTHING" if DisableRollback else "ROLLBACK"
            stack.target = found.target
            stack.settings = records.with_settings(stack, on_failure=how, token=ClientRequestToken)
            begin(call, stack, "CREATE_IN_PROGRESS")
            return
        must_be_ready(stack, "updated")
        apply(call, stack, found.target, disable_rollback=DisableRollback, token=ClientRequestToken)

    def delete_change_set(self, call: Call, *, ChangeSetName: str, StackName: str | None = None) -> None:
        change_sets.delete(call, ChangeSetName, StackName)


def new_stack(call: Call, name: str, target: Target, settings: Settings) -> Stack:
    stack = Stack(
        id=records.new_stack_id(call, name),
        account=call.account,
        region=call.region,
        name=name,
        status="",
        reason=None,
        target=target,
        previous=None,
        settings=settings,
        outputs=[],
        operation="",
        created_at=call.now,
    )
    records.add_stack(call, stack)
    return stack


def begin(call: Call, stack: Stack, status: str) -> None:
    """The stack takes on the status of an operation that a row of the backlog now stands for."""
    stack.operation = clock.new_id()
    records.enter(call, stack, status, "User Initiated")
    runner.begin_operation(call, stack)


def apply(call: Call, stack: Stack, target: Target, *, disable_rollback: bool, token: str | None) -> None:
    stack.previous, stack.target, stack.updated_at = stack.target, target, call.now
    how = "DO_NOTHING" if disable_rollback else "ROLLBACK"
    stack.settings = records.with_settings(stack, on_failure=how, token=token, base_url=call.base_url)
    begin(call, stack, "UPDATE_IN_PROGRESS")


def must_be_ready(stack: Stack, verb: str) -> None:
    if stack.status not in READY:
        raise refuse(f"Stack:{stack.id} is in {stack.status} state and can not be {verb}.")


def resource_stack(call: Call, name: str) -> Stack:
    stack = find(call, name)
    if stack is None:
        raise refuse(f"Stack '{name}' does not exist")
    return stack


def changes_of(
    call: Call, stack: Stack, target: Target, existing: Mapping[str, plan.Existing]
) -> list[plan.Change]:
    """What an operation towards `target` would do. What does not exist yet is unknown, and so is a change."""
    template = target.parsed()

    def lookup(name: str, attribute: str | None) -> Any:
        there = existing.get(name)
        if there is None:
            return Unknown(f"{name}.{attribute or ''}", frozenset({name}))
        return there.physical_id if attribute is None else there.attributes.get(attribute)

    try:
        return plan.plan(template, stack.scope(lookup, target), existing, KINDS)
    except TemplateError as error:
        raise refuse(error.sentence()) from None


def differs(call: Call, stack: Stack, target: Target) -> bool:
    """Whether there is anything to do: resources, outputs or tags."""
    if stack.target.tags != target.tags or stack.status == "UPDATE_FAILED":
        return True
    existing = records.existing(records.resources(call, stack.id))
    if plan.has_changes(changes_of(call, stack, target, existing)):
        return True
    template = target.parsed()
    if stack.target.parsed().outputs == template.outputs and stack.target.parameters == target.parameters:
        return False

    def lookup(name: str, attribute: str | None) -> Any:
        return existing[name].attributes.get(attribute) if attribute else existing[name].physical_id

    return outputs_of(template, stack.scope(lookup, target)) != stack.outputs


def check_resources(template: Template) -> None:
    try:
        plan.check(template, KINDS)
    except TemplateError as error:
        raise refuse(error.sentence()) from None


async def read_template(call: Call, body: str | None, url: str | None) -> tuple[str, Template]:
    """The template's text and parts, from the request or from our own artifacts. Parsed beside the event
    loop."""
    if (body is None) == (url is None):
        raise refuse("Either Template URL or Template Body must be specified.")
    if url is not None:
        body = await _fetched(call, url)
    assert body is not None, "one of the two is there"
    if len(body.encode()) > TEMPLATE_BYTES_MAX:
        raise refuse(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member "
            f"must have length less than or equal to {TEMPLATE_BYTES_MAX}"
        )
    try:
        template = await asyncio.to_thread(parse, body)
    except TemplateError as error:
        raise refuse(error.sentence()) from None
    except SetupError as error:
        raise refuse(str(error)) from None
    return body, template


async def _fetched(call: Call, url: str) -> str:
    match = ARTIFACT.fullmatch(urlsplit(url).path)
    if match is None:
        raise refuse(
            "TemplateURL must name an artifact of this server: <endpoint>/_oncue/artifacts/<sha256>."
        )
    data = await call.transact(lambda inner: blobs.get(inner.tx, match.group(1)), reads_only=True)
    if data is None:
        raise refuse("S3 error: The specified key does not exist.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refuse("Template format error: the template is not text in UTF-8.") from None


async def read_target(
    call: Call,
    body: str | None,
    url: str | None,
    given: list[dict[str, Any]] | None,
    tags: list[dict[str, str]] | None,
    acknowledged: list[str] | None,
    kept: Target | None,
) -> tuple[Template, Target]:
    """Template, parameters and capabilities of a request, checked; `kept` is what the stack has now."""
    text, template = await read_template(call, body, url)
    if template.transforms:
        raise refuse(
            f"Oncue does not run the transform {', '.join(template.transforms)} on the server. `oncue "
            "deploy` runs it before it sends the template."
        )
    needed = plan.capabilities(template, KINDS)
    for name in needed:
        if not (CAPABILITIES.get(name, {name}) & set(acknowledged or [])):
            raise ServiceError("InsufficientCapabilitiesException", f"Requires capabilities : [{name}]")
    try:
        values = resolve(build(Document(template.document.value)), _given(given, kept))
    except TemplateError as error:
        raise refuse(error.message) from None
    labels = {tag["Key"]: tag["Value"] for tag in tags} if tags is not None else (kept.tags if kept else {})
    target = Target(
        template=text,
        document=template.document.value,
        parameters=values,
        tags=labels,
        capabilities=list(acknowledged or []),
    )
    return template, target


def _given(given: list[dict[str, Any]] | None, kept: Target | None) -> dict[str, str]:
    values = {}
    for item in given or []:
        key = item.get("ParameterKey", "")
        if item.get("UsePreviousValue"):
            if kept is None or key not in kept.parameters:
                raise refuse(
                    f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a "
                    "parameter key not in the previous template"
                )
            values[key] = kept.parameters[key]
        else:
            values[key] = as_text(item.get("ParameterValue", ""))
    return values
