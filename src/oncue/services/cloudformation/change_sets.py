"""Change sets: a target for a stack with the changes that it would bring, kept until executed or deleted."""

from dataclasses import dataclass
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation import plan, records, views
from oncue.services.cloudformation.parameters import shown
from oncue.services.cloudformation.records import Stack, Target
from oncue.services.cloudformation.resources import KINDS
from oncue.store import Row

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)
CHANGE_SETS_MAX = 1_000
ACTIONS = {"create": "Add", "update": "Modify", "replace": "Modify", "delete": "Remove"}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    id: str
    stack_id: str
    name: str
    kind: str
    status: str
    reason: str | None
    execution: str
    target: Target
    changes: list[dict[str, Any]]
    description: str | None
    created_at: float


def _of(row: Row) -> ChangeSet:
    return ChangeSet(
        id=row["id"],
        stack_id=row["stack_id"],
        name=row["name"],
        kind=row["kind"],
        status=row["status"],
        reason=row["reason"],
        execution=row["execution"],
        target=msgspec.json.decode(row["target"], type=Target),
        changes=records.data(row["changes"]),
        description=row["description"],
        created_at=row["created_at"],
    )


def _shown(change: plan.Change, physical_id: str | None) -> dict[str, Any]:
    action = ACTIONS[change.action]
    row: dict[str, Any] = {
        "Action": action,
        "LogicalResourceId": change.logical_id,
        "ResourceType": change.type,
        "Scope": [],
        "Details": [],
    }
    if physical_id:
        row["PhysicalResourceId"] = physical_id
    if action == "Modify":
        row["Replacement"] = "True" if change.action == "replace" else "False"
        row["Scope"] = ["Properties"]
        row["Details"] = [
            {
                "Target": {
                    "Attribute": "Properties",
                    "Name": name,
                    "RequiresRecreation": "Always"
                    if KINDS[change.type].replacing(frozenset({name}))
                    else "Never",
                },
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
            for name in change.properties
        ]
    return {"Type": "Resource", "ResourceChange": row}


def create(
    call: Call,
    stack: Stack,
    name: str,
    kind: str,
    target: Target,
    changes: list[plan.Change],
    changed: bool,
    description: str | None,
) -> str:
    """Keep the change set; one without changes is kept as FAILED, as AWS does. The answer is its id."""
    there = call.tx.all("SELECT name FROM cloudformation_change_sets WHERE stack_id = :id", id=stack.id)
    if any(row["name"] == name for row in there):
        raise ServiceError(
            "AlreadyExistsException",
            f"ChangeSet {name} cannot be created due to a mismatch with existing attribute Template",
        )
    if len(there) >= CHANGE_SETS_MAX:
        raise ServiceError("LimitExceededException", f"A stack has at most {CHANGE_SETS_MAX} change sets.")
    physical = {key: row.physical_id for key, row in records.resources(call, stack.id).items()}
    rows = [
        _shown(change, physical.get(change.logical_id)) for change in changes if change.action != "unchanged"
    ]
    arn = arns.build("cloudformation", call.region, call.account, f"changeSet/{name}/{clock.new_id()}")
    call.tx.run(
        """
        INSERT INTO cloudformation_change_sets (id, stack_id, name, kind, status, reason, execution,
            target, changes,
            description, created_at)
        VALUES (:id, :stack_id, :name, :kind, :status, :reason, :execution, :target, :changes,
            :description, :now)
        """,
        id=arn,
        stack_id=stack.id,
        name=name,
        kind=kind,
        status="CREATE_COMPLETE" if changed else "FAILED",
        reason=None if changed else NO_CHANGES,
        execution="AVAILABLE" if changed else "UNAVAILABLE",
        target=records.text(target),
        changes=records.text(rows),
        description=description,
        now=call.now,
    )
    return arn


def find(call: Call, name: str, stack_name: str | None) -> ChangeSet | None:
    if name.startswith("arn:"):
        row = call.tx.one("SELECT * FROM cloudformation_change_sets WHERE id = :id", id=name)
    elif stack_name is None:
        text = "StackName must be specified if ChangeSetName is not specified as an ARN."
        raise ServiceError("ValidationError", text)
    else:
        stack = records.demand(call, stack_name)
        row = call.tx.one(
            "SELECT * FROM cloudformation_change_sets WHERE stack_id = :id AND name = :name",
            id=stack.id,
            name=name,
        )
    if row is None or records.find(call, row["stack_id"]) is None:
        return None
    return _of(row)


def demand(call: Call, name: str, stack_name: str | None) -> ChangeSet:
    found = find(call, name, stack_name)
    if found is None:
        raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)
    return found


def summary(stack: Stack, one: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetId": one.id,
        "ChangeSetName": one.name,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": one.description,
        "CreationTime": one.created_at,
        "ExecutionStatus": one.execution,
        "Status": one.status,
        "StatusReason": one.reason,
        "IncludeNestedStacks": False,
    }


def describe(call: Call, one: ChangeSet, token: str | None) -> dict[str, Any]:
    stack = records.demand(call, one.stack_id)
    changes, following = views.cut(one.changes, token)
    return {
        **summary(stack, one),
        "Parameters": shown(one.target.parsed(), one.target.parameters),
        "Capabilities": one.target.capabilities,
        "Tags": views.tag_list(one.target.tags),
        "Changes": changes,
        "NotificationARNs": [],
        "RollbackConfiguration": {},
        "NextToken": following,
    }


def listed(call: Call, stack: Stack) -> dict[str, Any]:
    rows = call.tx.all(
        "SELECT * FROM cloudformation_change_sets WHERE stack_id = :id ORDER BY created_at, id", id=stack.id
    )
    return {"Summaries": [summary(stack, _of(row)) for row in rows]}


def delete(call: Call, name: str, stack_name: str | None) -> None:
    found = find(call, name, stack_name)
    if found is not None:
        call.tx.run("DELETE FROM cloudformation_change_sets WHERE id = :id", id=found.id)


def forget(call: Call, stack_id: str) -> None:
    """An operation makes every change set of its stack out of date."""
    call.tx.run("DELETE FROM cloudformation_change_sets WHERE stack_id = :id", id=stack_id)
