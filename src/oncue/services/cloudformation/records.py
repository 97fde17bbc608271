"""Stacks, resources, leftovers and events as rows: read, written, nothing decided."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from oncue import arns, clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.documents import Document
from oncue.services.cloudformation.intrinsics import Lookup, Scope
from oncue.services.cloudformation.parameters import typed
from oncue.services.cloudformation.plan import Existing
from oncue.services.cloudformation.template import Template, build
from oncue.store import Row

STACK_TYPE = "AWS::CloudFormation::Stack"
GONE = ("DELETE_COMPLETE", "DELETE_SKIPPED")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack shall be: the template as it was sent, the same as data, and everything given with it."""

    template: str
    document: Any
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}
    capabilities: list[str] = []

    def parsed(self) -> Template:
        return build(Document(self.document))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How operations on a stack are carried out."""

    on_failure: str = "ROLLBACK"
    base_url: str = ""
    token: str | None = None
    role_arn: str | None = None
    protected: bool = False
    retained: list[str] = []
    notified: list[str] = []


@dataclass(slots=True)
class Stack:
    id: str
    account: str
    region: str
    name: str
    status: str
    reason: str | None
    target: Target
    previous: Target | None
    settings: Settings
    outputs: list[dict[str, str]]
    operation: str
    created_at: float
    updated_at: float | None = None
    deleted_at: float | None = None
    live: bool = True

    def scope(self, lookup: Lookup, target: Target | None = None) -> Scope:
        wanted = target or self.target
        template = wanted.parsed()
        pseudo = pseudo_of(self.account, self.region, self.name, self.id, self.settings.notified)
        return Scope(template, typed(template, wanted.parameters), pseudo, lookup)


@dataclass(slots=True)
class Held:
    """A resource that a stack holds. `wanted` are the properties of the step that is going on,
    `previous` what
    was there before this operation touched it."""

    stack_id: str
    logical_id: str
    type: str
    status: str
    name: str = ""
    physical_id: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    wanted: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] | None = None
    needs: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=lambda: ["Delete", "Delete"])
    reason: str | None = None
    operation: str = ""
    how: str = ""  # what this operation did to it: create, update, replace, none; empty when undone
    position: int = 0
    changed_at: float = 0.0

    @property
    def there(self) -> bool:
        return self.status not in GONE


@dataclass(frozen=True, slots=True)
class Leftover:
    """A physical resource that was replaced, to be deleted when the operation cleans up."""

    id: int
    logical_id: str
    type: str
    physical_id: str
    properties: dict[str, Any]
    attributes: dict[str, Any]
    operation: str


def pseudo_of(account: str, region: str, name: str, stack_id: str, notified: list[str]) -> dict[str, Any]:
    return {
        "AWS::AccountId": account,
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": name,
        "AWS::StackId": stack_id,
        "AWS::NotificationARNs": notified,
    }


def new_stack_id(call: Call, name: str) -> str:
    return arns.build("cloudformation", call.region, call.account, f"stack/{name}/{clock.new_id()}")


def text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def data(source: str | None) -> Any:
    return None if source is None else msgspec.json.decode(source)


def stack_of(row: Row) -> Stack:
    return Stack(
        id=row["id"],
        account=row["account"],
        region=row["region"],
        name=row["name"],
        status=row["status"],
        reason=row["reason"],
        target=msgspec.json.decode(row["target"], type=Target),
        previous=msgspec.json.decode(row["previous"], type=Target) if row["previous"] else None,
        settings=msgspec.json.decode(row["settings"], type=Settings),
        outputs=data(row["outputs"]),
        operation=row["operation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        live=bool(row["live"]),
    )


def unknown(name: str) -> ServiceError:
    return ServiceError("ValidationError", f"Stack with id {name} does not exist")


def find(call: Call, name: str, *, lock: bool = False, deleted: bool = True) -> Stack | None:
    """A stack by its name (while it lives) or by its id (also after its deletion, unless `deleted` is
    False)."""
    tail = " FOR UPDATE" if lock else ""
    if name.startswith("arn:"):
        row = call.tx.one(
            "SELECT * FROM cloudformation_stacks WHERE id = :id AND account = :account AND region = :region"
            + tail,
            id=name,
            account=call.account,
            region=call.region,
        )
    else:
        row = call.tx.one(
            "SELECT * FROM cloudformation_stacks WHERE account = :account AND region = :region AND name = "
            ":name "
            "AND live = 1" + tail,
            account=call.account,
            region=call.region,
            name=name,
        )
    if row is None or (not deleted and not row["live"]):
        return None
    return stack_of(row)


def demand(call: Call, name: str, *, lock: bool = False, deleted: bool = True) -> Stack:
    stack = find(call, name, lock=lock, deleted=deleted)
    if stack is None:
        raise unknown(name)
    return stack


def _columns(stack: Stack) -> dict[str, Any]:
    return {
        "id": stack.id,
        "live": int(stack.live),
        "status": stack.status,
        "reason": stack.reason,
        "target": text(stack.target),
        "previous": text(stack.previous) if stack.previous else None,
        "settings": text(stack.settings),
        "outputs": text(stack.outputs),
        "operation": stack.operation,
        "updated_at": stack.updated_at,
        "deleted_at": stack.deleted_at,
    }


def add_stack(call: Call, stack: Stack) -> None:
    """A new row. AlreadyExistsException when a living stack has the name, one that is being written
    included."""
    added = call.tx.run(
        """
        INSERT INTO cloudformation_stacks (id, account, region, name, live, status, reason, target, previous,
            settings, outputs, operation, created_at, updated_at, deleted_at)
        VALUES (:id, :account, :region, :name, :live, :status, :reason, :target, :previous, :settings,
            :outputs, :operation, :created_at, :updated_at, :deleted_at)
        ON CONFLICT DO NOTHING
        """,
        account=stack.account,
        region=stack.region,
        name=stack.name,
        created_at=stack.created_at,
        **_columns(stack),
    )
    if not added:
        raise ServiceError("AlreadyExistsException", f"Stack [{stack.name}] already exists")


def save_stack(call: Call, stack: Stack) -> None:
    call.tx.run(
        """
        UPDATE cloudformation_stacks SET live = :live, status = :status, reason = :reason, target = :target,
            previous = :previous, settings = :settings, outputs = :outputs, operation = :operation,
            updated_at = :updated_at, deleted_at = :deleted_at
        WHERE id = :id
        """,
        **_columns(stack),
    )


def held_of(row: Row) -> Held:
    return Held(
        stack_id=row["stack_id"],
        logical_id=row["logical_id"],
        type=row["type"],
        status=row["status"],
        name=row["name"],
        physical_id=row["physical_id"],
        properties=data(row["properties"]),
        attributes=data(row["attributes"]),
        wanted=data(row["wanted"]),
        previous=data(row["previous"]),
        needs=data(row["needs"]),
        policies=data(row["policies"]),
        reason=row["reason"],
        operation=row["operation"],
        how=row["how"],
        position=row["position"],
        changed_at=row["changed_at"],
    )


def resources(call: Call, stack_id: str) -> dict[str, Held]:
    rows = call.tx.all(
        "SELECT * FROM cloudformation_resources WHERE stack_id = :id ORDER BY position, logical_id",
        id=stack_id,
    )
    return {row["logical_id"]: held_of(row) for row in rows}


def save_resource(call: Call, held: Held) -> None:
    held.changed_at = call.now
    call.tx.run(
        """
        INSERT INTO cloudformation_resources (stack_id, logical_id, type, name, physical_id, properties,
            attributes,
            wanted, previous, needs, policies, status, reason, operation, how, position, changed_at)
        VALUES (:stack_id, :logical_id, :type, :name, :physical_id, :properties, :attributes, :wanted,
            :previous,
            :needs, :policies, :status, :reason, :operation, :how, :position, :changed_at)
        ON CONFLICT (stack_id, logical_id) DO UPDATE SET type = :type, name = :name, physical_id =
            :physical_id,
            properties = :properties, attributes = :attributes, wanted = :wanted, previous = :previous,
            needs = :needs, policies = :policies, status = :status, reason = :reason, operation = :operation,
            how = :how, position = :position, changed_at = :changed_at
        """,
        stack_id=held.stack_id,
        logical_id=held.logical_id,
        type=held.type,
        name=held.name,
        physical_id=held.physical_id,
        properties=text(held.properties),
        attributes=text(held.attributes),
        wanted=text(held.wanted),
        previous=text(held.previous) if held.previous else None,
        needs=text(held.needs),
        policies=text(held.policies),
        status=held.status,
        reason=held.reason,
        operation=held.operation,
        how=held.how,
        position=held.position,
        changed_at=held.changed_at,
    )


def forget_previous(call: Call, stack_id: str) -> None:
    """The operation is over: nobody needs to go back."""
    call.tx.run("UPDATE cloudformation_resources SET previous = NULL WHERE stack_id = :id", id=stack_id)


def leftovers(call: Call, stack_id: str) -> list[Leftover]:
    rows = call.tx.all(
        "SELECT * FROM cloudformation_leftovers WHERE stack_id = :id ORDER BY id DESC", id=stack_id
    )
    return [
        Leftover(
            row["id"],
            row["logical_id"],
            row["type"],
            row["physical_id"],
            data(row["properties"]),
            data(row["attributes"]),
            row["operation"],
        )
        for row in rows
    ]


def leave(call: Call, held: Held, physical: dict[str, Any]) -> None:
    """Keep a replaced physical resource for the clean-up."""
    call.tx.run(
        """
        INSERT INTO cloudformation_leftovers (stack_id, logical_id, type, physical_id, properties,
            attributes, operation)
        VALUES (:stack_id, :logical_id, :type, :physical_id, :properties, :attributes, '')
        """,
        stack_id=held.stack_id,
        logical_id=held.logical_id,
        type=physical["type"],
        physical_id=physical["physical_id"],
        properties=text(physical["properties"]),
        attributes=text(physical["attributes"]),
    )


def leave_not(call: Call, stack_id: str, physical: dict[str, Any]) -> None:
    """What an update had replaced is wanted again."""
    call.tx.run(
        "DELETE FROM cloudformation_leftovers WHERE stack_id = :id AND type = :type AND physical_id = "
        ":physical_id",
        id=stack_id,
        type=physical["type"],
        physical_id=physical["physical_id"],
    )


def drop_leftover(call: Call, id: int) -> None:
    call.tx.run("DELETE FROM cloudformation_leftovers WHERE id = :id", id=id)


def keep_leftover(call: Call, id: int, operation: str) -> None:
    """This operation could not delete it; the stack's own deletion tries again."""
    call.tx.run("UPDATE cloudformation_leftovers SET operation = :op WHERE id = :id", op=operation, id=id)


def physical_of(held: Held) -> dict[str, Any]:
    return {
        "type": held.type,
        "name": held.name,
        "physical_id": held.physical_id,
        "properties": held.properties,
        "attributes": held.attributes,
        "needs": held.needs,
    }


def existing(held: dict[str, Held]) -> dict[str, Existing]:
    """What a plan compares with."""
    return {
        key: Existing(row.type, row.properties, row.physical_id, row.attributes)
        for key, row in held.items()
        if row.there and row.physical_id
    }


def event(
    call: Call,
    stack: Stack,
    status: str,
    reason: str | None = None,
    *,
    held: Held | None = None,
    physical_id: str | None = None,
) -> None:
    """One line in the stack's history: about a resource, or about the stack itself."""
    logical = held.logical_id if held else stack.name
    call.tx.run(
        """
        INSERT INTO cloudformation_events (event_id, stack_id, stack_name, logical_id, physical_id, type,
            status,
            reason, properties, token, at)
        VALUES (:event_id, :stack_id, :stack_name, :logical_id, :physical_id, :type, :status, :reason,
            :properties,
            :token, :at)
        """,
        event_id=f"{logical}-{status}-{clock.new_id()}" if held else clock.new_id(),
        stack_id=stack.id,
        stack_name=stack.name,
        logical_id=logical,
        physical_id=physical_id if physical_id is not None else held.physical_id if held else stack.id,
        type=held.type if held else STACK_TYPE,
        status=status,
        reason=reason,
        properties=text(held.wanted) if held and held.wanted else None,
        token=stack.settings.token,
        at=call.now,
    )


def enter(call: Call, stack: Stack, status: str, reason: str | None = None) -> None:
    """The stack takes on a status, and its history says so."""
    stack.status, stack.reason = status, reason
    event(call, stack, status, reason)
    save_stack(call, stack)


def with_settings(stack: Stack, **changes: Any) -> Settings:
    values = {name: getattr(stack.settings, name) for name in Settings.__struct_fields__}
    return Settings(**{**values, **changes})
