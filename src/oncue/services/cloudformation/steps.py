"""Decides, inside one transaction, what a stack operation does next; everything it knows is in the rows."""

from dataclasses import dataclass
from typing import Any

from oncue.services import Call
from oncue.services.cloudformation import records
from oncue.services.cloudformation.documents import TemplateError
from oncue.services.cloudformation.intrinsics import Scope, evaluate
from oncue.services.cloudformation.kinds import Made, Subject
from oncue.services.cloudformation.parameters import as_text
from oncue.services.cloudformation.plan import chosen, differing, needs, ordered, properties_of
from oncue.services.cloudformation.records import Held, Stack
from oncue.services.cloudformation.resources import KINDS
from oncue.services.cloudformation.template import Resource, Template

FORWARD = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
REMOVING = ("ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
CLEANING = ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
NEW_PHYSICAL = "Requested update requires the creation of a new physical resource; hence creating one."


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do to one resource. `verb` is a method of its kind; `leftover` is the row it cleans up."""

    verb: str
    type: str
    subject: Subject
    leftover: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer of `begin`: something to do, or go on deciding, or the operation has ended."""

    work: Work | None = None
    ended: bool = False


ENDED = Turn(ended=True)
AGAIN = Turn()


class Failed(Exception):
    """A resource cannot become what is wanted; the text is its status reason."""


def lookup_in(rows: dict[str, Held], scope_template: Template) -> Any:
    def lookup(name: str, attribute: str | None) -> Any:
        row = rows.get(name)
        if row is None or not row.there or not row.physical_id:
            raise TemplateError(
                f"Template format error: Unresolved resource dependencies [{name}] in the Resources block "
                "of the template"
            )
        if attribute is None:
            return row.physical_id
        if attribute not in row.attributes:
            raise TemplateError(
                f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
            )
        return row.attributes[attribute]

    return lookup


def begin(call: Call, stack: Stack) -> Turn:
    """The next thing to do for the stack's operation, already written down as being in progress."""
    if stack.status in FORWARD:
        return _forward(call, stack)
    if stack.status in REMOVING:
        return _remove(call, stack)
    if stack.status == "UPDATE_ROLLBACK_IN_PROGRESS":
        return _undo(call, stack)
    if stack.status in CLEANING:
        return _clean(call, stack)
    return ENDED


def _forward(call: Call, stack: Stack) -> Turn:
    rows = records.resources(call, stack.id)
    template = stack.target.parsed()
    scope = stack.scope(lookup_in(rows, template))
    wanted = chosen(template, scope)
    for key in ordered(wanted):
        row = rows.get(key)
        if row is not None and row.operation == stack.operation:
            if row.status.endswith("_COMPLETE"):
                continue
            if row.status.endswith("_IN_PROGRESS"):
                return Turn(_resume(stack, row))
        try:
            work = _start(call, stack, rows, wanted[key], scope)
        except (TemplateError, Failed) as error:
            _blame(call, stack, rows, wanted[key], str(error))
            return AGAIN
        if work is not None:
            return Turn(work)
    return _arrived(call, stack, template, scope, rows)


def _resume(stack: Stack, row: Held) -> Work:
    verb = "update" if row.how == "update" else "create"
    return Work(verb, row.type, subject_of(stack, row))


def subject_of(stack: Stack, row: Held) -> Subject:
    replaced = row.how == "replace"
    return Subject(
        logical_id=row.logical_id,
        stack_name=stack.name,
        stack_id=stack.id,
        name=row.name,
        properties=row.wanted,
        before={} if replaced else row.properties,
        physical_id=row.physical_id,
        attributes={} if replaced else row.attributes,
    )


def _start(call: Call, stack: Stack, rows: dict[str, Held], resource: Resource, scope: Scope) -> Work | None:
    """Write down that the resource is being created, updated or replaced; None when it is as it should be."""
    key, kind = resource.logical_id, KINDS[resource.type]
    wanted = properties_of(resource, scope, kind)
    row = rows.get(key)
    if row is None or not row.there or not row.physical_id:
        position = row.position if row else len(rows)
        fresh = Held(stack.id, key, resource.type, "CREATE_IN_PROGRESS", position=position, how="create")
        fresh.name = kind.name(stack.name, key, wanted)
        return _write(call, stack, fresh, resource, wanted, scope)
    replaced = row.type != resource.type
    changed = frozenset() if replaced else differing(row.properties, wanted, set())
    if not replaced and not changed and row.status != "UPDATE_FAILED":
        row.operation, row.how, row.needs = stack.operation, "none", needs(resource, scope.template.resources)
        row.status = "UPDATE_COMPLETE" if row.status.startswith("UPDATE") else "CREATE_COMPLETE"
        row.policies = [resource.deletion_policy, resource.replace_policy]
        records.save_resource(call, row)
        return None
    replaced = replaced or kind.replacing(changed)
    row.previous = {**records.physical_of(row), "policies": row.policies}
    row.how = "replace" if replaced else "update"
    row.status = "UPDATE_IN_PROGRESS"
    row.reason = None
    if replaced:
        _check_own_name(row, resource, wanted)
        row.type, row.physical_id, row.reason = resource.type, "", NEW_PHYSICAL
        row.name = kind.name(stack.name, key, wanted)
    return _write(call, stack, row, resource, wanted, scope)


def _check_own_name(row: Held, resource: Resource, wanted: dict[str, Any]) -> None:
    name = KINDS[resource.type].name_property
    if row.type == resource.type and name and wanted.get(name) and wanted[name] == row.properties.get(name):
        raise Failed(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
            f"Rename {wanted[name]} and update the stack again."
        )


def _write(
    call: Call, stack: Stack, row: Held, resource: Resource, wanted: dict[str, Any], scope: Scope
) -> Work:
    row.wanted = wanted
    row.operation = stack.operation
    row.needs = needs(resource, scope.template.resources)
    row.policies = [resource.deletion_policy, resource.replace_policy]
    records.save_resource(call, row)
    records.event(call, stack, row.status, row.reason, held=row)
    verb = "update" if row.how == "update" else "create"
    return Work(verb, row.type, subject_of(stack, row))


def _blame(call: Call, stack: Stack, rows: dict[str, Held], resource: Resource, reason: str) -> None:
    """A resource whose properties cannot even be worked out has failed like one that its service refused."""
    row = rows.get(resource.logical_id)
    if row is None or not row.there:
        row = Held(stack.id, resource.logical_id, resource.type, "", position=len(rows))
        row.how = "create"
    row.operation = stack.operation
    failed(call, stack, row, reason)


def _arrived(call: Call, stack: Stack, template: Template, scope: Scope, rows: dict[str, Held]) -> Turn:
    """Every resource is as wanted: outputs, then the end of a creation, or the clean-up of an update."""
    try:
        stack.outputs = outputs_of(template, scope)
    except TemplateError as error:
        fall_back(call, stack, error.placed())
        return AGAIN
    if stack.status == "CREATE_IN_PROGRESS":
        records.enter(call, stack, "CREATE_COMPLETE")
        return ENDED
    records.enter(call, stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    return AGAIN


def outputs_of(template: Template, scope: Scope) -> list[dict[str, str]]:
    found = []
    for key, output in template.outputs.items():
        path = ("Outputs", key)
        condition = output.get("Condition")
        if condition is not None and not scope.condition(condition, path):
            continue
        value = evaluate(output["Value"], scope, path)
        if not isinstance(value, (str, int, float)):
            message = (
                "Template format error: The Value field of every Outputs member must evaluate to a String."
            )
            raise TemplateError(message, path)
        row = {"OutputKey": key, "OutputValue": as_text(value)}
        if "Description" in output:
            row["Description"] = as_text(output["Description"])
        found.append(row)
    return found


def _remove(call: Call, stack: Stack) -> Turn:
    """Delete everything, each resource before what it needs; then the end."""
    turn = _clear_leftovers(call, stack)
    if turn is not None:
        return turn
    rows = {key: row for key, row in records.resources(call, stack.id).items() if row.there}
    deleting = stack.status == "DELETE_IN_PROGRESS"
    failures = [
        row for row in rows.values() if row.status == "DELETE_FAILED" and row.operation == stack.operation
    ]
    candidates = {key: row for key, row in rows.items() if row not in failures}
    row = _last(candidates, rows) if candidates else None
    if row is not None:
        return _delete(call, stack, row, deleting)
    if failures or rows:
        listed = ", ".join(sorted(rows))
        status = "DELETE_FAILED" if deleting else "ROLLBACK_FAILED"
        records.enter(call, stack, status, f"The following resource(s) failed to delete: [{listed}].")
        return ENDED
    if deleting:
        stack.live, stack.deleted_at = False, call.now
    records.enter(call, stack, "DELETE_COMPLETE" if deleting else "ROLLBACK_COMPLETE")
    return ENDED


def _last(candidates: dict[str, Held], rows: dict[str, Held]) -> Held | None:
    """One that no remaining resource needs; of several the one that was made last."""
    wanted = {name for row in rows.values() for name in row.needs if name != row.logical_id}
    free = [row for key, row in candidates.items() if key not in wanted]
    return max(free, key=lambda row: row.position) if free else None


def _delete(call: Call, stack: Stack, row: Held, deleting: bool) -> Turn:
    kept = row.policies[0] == "Retain" or (row.policies[0] == "RetainExceptOnCreate" and deleting)
    if kept or row.logical_id in stack.settings.retained:
        row.status, row.operation = "DELETE_SKIPPED", stack.operation
        records.save_resource(call, row)
        records.event(call, stack, row.status, held=row)
        return AGAIN
    if not row.physical_id:
        row.status, row.operation = "DELETE_COMPLETE", stack.operation
        records.save_resource(call, row)
        records.event(call, stack, row.status, held=row)
        return AGAIN
    if row.status != "DELETE_IN_PROGRESS":
        row.status, row.operation, row.reason = "DELETE_IN_PROGRESS", stack.operation, None
        records.save_resource(call, row)
        records.event(call, stack, row.status, held=row)
    return Turn(Work("delete", row.type, _subject_to_delete(stack, row)))


def _subject_to_delete(stack: Stack, row: Held) -> Subject:
    return Subject(
        logical_id=row.logical_id,
        stack_name=stack.name,
        stack_id=stack.id,
        name=row.name,
        properties=row.properties,
        physical_id=row.physical_id,
        attributes=row.attributes,
    )


def _clear_leftovers(call: Call, stack: Stack) -> Turn | None:
    for left in records.leftovers(call, stack.id):
        if left.operation == stack.operation:
            continue
        subject = Subject(
            logical_id=left.logical_id,
            stack_name=stack.name,
            stack_id=stack.id,
            name="",
            properties=left.properties,
            physical_id=left.physical_id,
            attributes=left.attributes,
        )
        return Turn(Work("delete", left.type, subject, leftover=left.id))
    return None


def _clean(call: Call, stack: Stack) -> Turn:
    """After an update, or its rollback: delete what was replaced, then what the template no longer has."""
    turn = _clear_leftovers(call, stack)
    if turn is not None:
        return turn
    rows = {key: row for key, row in records.resources(call, stack.id).items() if row.there}
    updated = stack.status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    if updated:
        template = stack.target.parsed()
        wanted = chosen(template, stack.scope(lookup_in(rows, template)))
        removed = {
            key: row
            for key, row in rows.items()
            if key not in wanted and not (row.status == "DELETE_FAILED" and row.operation == stack.operation)
        }
        row = _last(removed, removed) if removed else None
        if row is not None:
            return _delete(call, stack, row, deleting=True)
    stack.previous = None
    records.forget_previous(call, stack.id)
    records.enter(call, stack, "UPDATE_COMPLETE" if updated else "UPDATE_ROLLBACK_COMPLETE")
    return ENDED


def _undo(call: Call, stack: Stack) -> Turn:
    """Go back: delete what this update created, change back what it changed, give back what it replaced."""
    rows = {key: row for key, row in records.resources(call, stack.id).items() if row.there}
    touched = {
        key: row
        for key, row in rows.items()
        if row.operation == stack.operation and row.how in ("create", "update", "replace")
    }
    if not touched:
        assert stack.previous is not None, "an update keeps what was before it"
        stack.target = stack.previous
        records.enter(call, stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        return AGAIN
    row = _last(touched, touched)
    assert row is not None, "needs have no circle"
    if row.how == "create":
        return _delete(call, stack, row, deleting=False)
    previous = row.previous
    assert previous is not None, "what was changed is known as it was before"
    if row.how == "replace":
        records.leave_not(call, stack.id, previous)
        if row.physical_id:
            records.leave(call, row, records.physical_of(row))
        _restore(call, stack, row, previous)
        return AGAIN
    if row.status == "UPDATE_FAILED":
        _restore(call, stack, row, previous)  # its one transaction was not committed: nothing to change back
        return AGAIN
    if row.status != "UPDATE_IN_PROGRESS":
        row.status, row.wanted = "UPDATE_IN_PROGRESS", previous["properties"]
        records.save_resource(call, row)
        records.event(call, stack, row.status, held=row)
    return Turn(Work("update", row.type, subject_of(stack, row)))


def _put_back(row: Held, previous: dict[str, Any]) -> None:
    for name in ("type", "name", "physical_id", "properties", "attributes", "needs", "policies"):
        setattr(row, name, previous[name])


def _restore(call: Call, stack: Stack, row: Held, previous: dict[str, Any]) -> None:
    _put_back(row, previous)
    row.how, row.status, row.reason = "", "UPDATE_COMPLETE", None
    records.save_resource(call, row)
    records.event(call, stack, row.status, held=row)


def succeeded(call: Call, stack: Stack, work: Work, made: Made | None) -> None:
    """Write down what a verb has done; `made` is None for a deletion."""
    if work.leftover is not None:
        records.drop_leftover(call, work.leftover)
        held = Held(stack.id, work.subject.logical_id, work.type, "DELETE_COMPLETE")
        records.event(call, stack, held.status, held=held, physical_id=work.subject.physical_id)
        return
    row = records.resources(call, stack.id)[work.subject.logical_id]
    undoing = stack.status == "UPDATE_ROLLBACK_IN_PROGRESS"
    if made is None:
        row.status = "DELETE_COMPLETE"
    else:
        if row.how == "replace" and row.previous is not None and row.previous["policies"][1] == "Delete":
            records.leave(call, row, row.previous)
        row.physical_id, row.attributes, row.properties = made.physical_id, made.attributes, row.wanted
        row.status = row.status.replace("_IN_PROGRESS", "_COMPLETE")
        row.reason = None
    if undoing:
        row.how = ""
        if made is not None and row.previous is not None:
            row.needs, row.policies = row.previous["needs"], row.previous["policies"]
    records.save_resource(call, row)
    records.event(call, stack, row.status, held=row)


def refused(call: Call, stack: Stack, work: Work, reason: str) -> None:
    """Write down that a verb has failed, and turn the stack to what follows from it."""
    if work.leftover is not None:
        records.keep_leftover(call, work.leftover, stack.operation)
        held = Held(stack.id, work.subject.logical_id, work.type, "DELETE_FAILED")
        records.event(call, stack, held.status, reason, held=held, physical_id=work.subject.physical_id)
        return
    failed(call, stack, records.resources(call, stack.id)[work.subject.logical_id], reason)


def failed(call: Call, stack: Stack, row: Held, reason: str) -> None:
    deleting = row.status == "DELETE_IN_PROGRESS"
    row.status = "DELETE_FAILED" if deleting else "CREATE_FAILED" if row.how == "create" else "UPDATE_FAILED"
    row.reason = reason
    records.event(call, stack, row.status, reason, held=row)
    if row.how == "replace" and row.previous is not None:
        _put_back(row, row.previous)  # the new one was not made; what it should replace is still there
        row.how = ""
    records.save_resource(call, row)
    if stack.status in FORWARD:
        verb = "create" if row.how == "create" else "update"
        fall_back(call, stack, f"The following resource(s) failed to {verb}: [{row.logical_id}]. ")
    elif stack.status == "UPDATE_ROLLBACK_IN_PROGRESS":
        listed = f"The following resource(s) failed to update: [{row.logical_id}]. "
        records.enter(call, stack, "UPDATE_ROLLBACK_FAILED", listed)


def fall_back(call: Call, stack: Stack, reason: str) -> None:
    """A creation or an update cannot reach its goal: what then, as the caller wanted it."""
    creating, how = stack.status == "CREATE_IN_PROGRESS", stack.settings.on_failure
    if how == "DO_NOTHING":
        records.enter(call, stack, "CREATE_FAILED" if creating else "UPDATE_FAILED", reason)
    elif not creating:
        records.enter(call, stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
    elif how == "DELETE":
        records.enter(call, stack, "DELETE_IN_PROGRESS", f"{reason}Delete requested by user.")
    else:
        records.enter(call, stack, "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
