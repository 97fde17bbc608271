"""How stacks, resources, events and templates look in replies, and how lists are cut into pages."""

from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation import plan, records
from oncue.services.cloudformation.parameters import as_text, shown
from oncue.services.cloudformation.records import Held, Stack
from oncue.services.cloudformation.resources import KINDS
from oncue.services.cloudformation.template import Template
from oncue.store import Row

PAGE_MAX = 100
RESOURCES_DESCRIBED_MAX = 100
LIVE_STACKS = """
SELECT * FROM cloudformation_stacks WHERE account = :account AND region = :region AND live = 1
ORDER BY created_at DESC, id LIMIT :limit OFFSET :offset
"""
ALL_STACKS = """
SELECT * FROM cloudformation_stacks WHERE account = :account AND region = :region
ORDER BY created_at DESC, id LIMIT :limit OFFSET :offset
"""
EVENTS = """
SELECT * FROM cloudformation_events WHERE stack_id = :stack_id ORDER BY id DESC LIMIT :limit OFFSET :offset
"""


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdigit() or len(token) > 9:
        raise ServiceError("ValidationError", "The NextToken is not one that was given out.")
    return int(token)


def page(call: Call, sql: str, token: str | None, **values: Any) -> tuple[list[Row], str | None]:
    """At most PAGE_MAX rows, and the token of the next page."""
    offset = _offset(token)
    owner = {} if values else {"account": call.account, "region": call.region}
    rows = call.tx.all(sql, limit=PAGE_MAX + 1, offset=offset, **values, **owner)
    return rows[:PAGE_MAX], str(offset + PAGE_MAX) if len(rows) > PAGE_MAX else None


def cut(items: list[Any], token: str | None) -> tuple[list[Any], str | None]:
    offset = _offset(token)
    end = offset + PAGE_MAX
    return items[offset:end], str(end) if len(items) > end else None


def stack(one: Stack) -> dict[str, Any]:
    return {
        "StackId": one.id,
        "StackName": one.name,
        "Description": one.target.document.get("Description"),
        "Parameters": shown(one.target.parsed(), one.target.parameters),
        "CreationTime": one.created_at,
        "LastUpdatedTime": one.updated_at,
        "DeletionTime": one.deleted_at,
        "RollbackConfiguration": {},
        "StackStatus": one.status,
        "StackStatusReason": one.reason,
        "DisableRollback": one.settings.on_failure == "DO_NOTHING",
        "NotificationARNs": one.settings.notified,
        "Capabilities": one.target.capabilities,
        "Outputs": one.outputs,
        "RoleARN": one.settings.role_arn,
        "Tags": tag_list(one.target.tags),
        "EnableTerminationProtection": one.settings.protected,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def summary(one: Stack) -> dict[str, Any]:
    return {
        "StackId": one.id,
        "StackName": one.name,
        "TemplateDescription": one.target.document.get("Description"),
        "CreationTime": one.created_at,
        "LastUpdatedTime": one.updated_at,
        "DeletionTime": one.deleted_at,
        "StackStatus": one.status,
        "StackStatusReason": one.reason,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def event(row: Row) -> dict[str, Any]:
    return {
        "StackId": row["stack_id"],
        "EventId": row["event_id"],
        "StackName": row["stack_name"],
        "LogicalResourceId": row["logical_id"],
        "PhysicalResourceId": row["physical_id"],
        "ResourceType": row["type"],
        "Timestamp": row["at"],
        "ResourceStatus": row["status"],
        "ResourceStatusReason": row["reason"],
        "ResourceProperties": row["properties"],
        "ClientRequestToken": row["token"],
    }


def held(call: Call, one: Stack) -> list[Held]:
    """The resources that a living stack has, or that a deleted one had."""
    rows = records.resources(call, one.id).values()
    return [row for row in rows if row.there or not one.live]


def owner(call: Call, physical_id: str) -> Stack | None:
    """The living stack that holds a physical resource."""
    row = call.tx.one(
        """
        SELECT s.* FROM cloudformation_stacks s JOIN cloudformation_resources r ON r.stack_id = s.id
        WHERE s.account = :account AND s.region = :region AND s.live = 1 AND r.physical_id = :physical_id
        ORDER BY s.created_at LIMIT 1
        """,
        account=call.account,
        region=call.region,
        physical_id=physical_id,
    )
    return records.stack_of(row) if row else None


def resource_summary(one: Held) -> dict[str, Any]:
    return {
        "LogicalResourceId": one.logical_id,
        "PhysicalResourceId": one.physical_id or None,
        "ResourceType": one.type,
        "LastUpdatedTimestamp": one.changed_at,
        "ResourceStatus": one.status,
        "ResourceStatusReason": one.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def resource(of: Stack, one: Held) -> dict[str, Any]:
    row = resource_summary(one)
    row["Timestamp"] = row.pop("LastUpdatedTimestamp")
    return {"StackName": of.name, "StackId": of.id, **row}


def detail(of: Stack, one: Held) -> dict[str, Any]:
    metadata = of.target.document["Resources"].get(one.logical_id, {}).get("Metadata")
    return {
        "StackName": of.name,
        "StackId": of.id,
        **resource_summary(one),
        "Metadata": records.text(metadata or {}),
    }


def _needed(template: Template) -> dict[str, Any]:
    needed = plan.capabilities(template, KINDS)
    if not needed:
        return {"Capabilities": []}
    types = sorted(
        {r.type for r in template.resources.values() if r.type in KINDS and KINDS[r.type].capability}
    )
    reason = f"The following resource(s) require capabilities: [{', '.join(types)}]"
    return {"Capabilities": needed, "CapabilitiesReason": reason}


def validated(template: Template) -> dict[str, Any]:
    rows = [
        {
            "ParameterKey": key,
            "DefaultValue": as_text(rules["Default"]) if "Default" in rules else None,
            "NoEcho": as_text(rules.get("NoEcho", False)) == "true",
            "Description": rules.get("Description"),
        }
        for key, rules in template.parameters.items()
    ]
    return {
        "Parameters": rows,
        "Description": template.description,
        **_needed(template),
        "DeclaredTransforms": list(template.transforms),
    }


def template_summary(template: Template) -> dict[str, Any]:
    rows = [
        {
            "ParameterKey": key,
            "DefaultValue": as_text(rules["Default"]) if "Default" in rules else None,
            "ParameterType": rules["Type"],
            "NoEcho": as_text(rules.get("NoEcho", False)) == "true",
            "Description": rules.get("Description"),
            "ParameterConstraints": {"AllowedValues": [as_text(v) for v in rules.get("AllowedValues", [])]},
        }
        for key, rules in template.parameters.items()
    ]
    return {
        "Parameters": rows,
        "Description": template.description,
        **_needed(template),
        "ResourceTypes": sorted({resource.type for resource in template.resources.values()}),
        "Version": "2010-09-09",
        "DeclaredTransforms": list(template.transforms),
    }
