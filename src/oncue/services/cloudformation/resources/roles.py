"""AWS::IAM::Role, AWS::IAM::Policy and AWS::IAM::ManagedPolicy."""

from typing import Any

from oncue.errors import ServiceError
from oncue.services import Call
from oncue.services.cloudformation.kinds import Kind, Made, Properties, Subject, gone, props, shapes
from oncue.services.cloudformation.resources.queues import attribute_text, tags_of

NAMED = "CAPABILITY_NAMED_IAM"


def inline(properties: Properties) -> dict[str, str]:
    """Policy name -> document, as text."""
    return {
        policy["PolicyName"]: attribute_text(policy["PolicyDocument"])
        for policy in properties.get("Policies", [])
    }


def unless_gone(operation: Any, **parameters: Any) -> None:
    try:
        operation(**parameters)
    except ServiceError as error:
        if not gone(error.code):
            raise


class Role(Kind):
    """Ref: the role's name. GetAtt: Arn, RoleId."""

    type = "AWS::IAM::Role"
    name_property = "RoleName"
    capability = NAMED
    attributes = frozenset({"Arn", "RoleId"})
    properties = shapes(
        props("text", "RoleName Path", replaces=True),
        props("any", "AssumeRolePolicyDocument", required=True),
        props("text", "Description PermissionsBoundary"),
        props("integer", "MaxSessionDuration"),
        props("list", "ManagedPolicyArns Policies Tags"),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        given = subject.properties
        simple = ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags")
        answer = call.iam.create_role(
            RoleName=subject.name,
            AssumeRolePolicyDocument=attribute_text(given["AssumeRolePolicyDocument"]),
            **{key: given[key] for key in simple if key in given},
        )
        self.grant(call, subject.name, {}, given)
        role = answer["Role"]
        return Made(subject.name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def grant(self, call: Call, name: str, before: Properties, after: Properties) -> None:
        had, wants = inline(before), inline(after)
        for policy, document in wants.items():
            if had.get(policy) != document:
                call.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
        for policy in had.keys() - wants.keys():
            unless_gone(call.iam.delete_role_policy, RoleName=name, PolicyName=policy)
        old, new = before.get("ManagedPolicyArns", []), after.get("ManagedPolicyArns", [])
        for arn in new:
            if arn not in old:
                call.iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in old:
            if arn not in new:
                unless_gone(call.iam.detach_role_policy, RoleName=name, PolicyArn=arn)

    def update(self, call: Call, subject: Subject) -> Made:
        name, before, after = subject.physical_id, subject.before, subject.properties
        document = attribute_text(after["AssumeRolePolicyDocument"])
        if document != attribute_text(before["AssumeRolePolicyDocument"]):
            call.iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        settings = {key: after[key] for key in ("Description", "MaxSessionDuration") if key in after}
        if any(before.get(key) != after.get(key) for key in ("Description", "MaxSessionDuration")):
            call.iam.update_role(RoleName=name, **settings)
        boundary = after.get("PermissionsBoundary")
        if boundary and boundary != before.get("PermissionsBoundary"):
            call.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
        elif not boundary and "PermissionsBoundary" in before:
            call.iam.delete_role_permissions_boundary(RoleName=name)
        had, wants = tags_of(before), tags_of(after)
        if had.keys() - wants.keys():
            call.iam.untag_role(RoleName=name, TagKeys=sorted(had.keys() - wants.keys()))
        if wants and wants != had:
            call.iam.tag_role(RoleName=name, Tags=after["Tags"])
        self.grant(call, name, before, after)
        return Made(name, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        name = subject.physical_id
        for policy in inline(subject.properties):
            unless_gone(call.iam.delete_role_policy, RoleName=name, PolicyName=policy)
        for arn in subject.properties.get("ManagedPolicyArns", []):
            unless_gone(call.iam.detach_role_policy, RoleName=name, PolicyArn=arn)
        unless_gone(call.iam.delete_role, RoleName=name)


class Policy(Kind):
    """An inline policy given to roles from outside of them. Ref: a name of its own."""

    type = "AWS::IAM::Policy"
    capability = "CAPABILITY_IAM"
    properties = shapes(
        props("text", "PolicyName", required=True, replaces=True),
        props("any", "PolicyDocument", required=True),
        props("list", "Roles", required=True),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        self.put(call, subject.properties["Roles"], subject.properties)
        return Made(subject.name, {})

    def put(self, call: Call, roles: list[str], properties: Properties) -> None:
        document = attribute_text(properties["PolicyDocument"])
        for role in roles:
            call.iam.put_role_policy(
                RoleName=role, PolicyName=properties["PolicyName"], PolicyDocument=document
            )

    def take(self, call: Call, roles: list[str], policy: str) -> None:
        for role in roles:
            unless_gone(call.iam.delete_role_policy, RoleName=role, PolicyName=policy)

    def update(self, call: Call, subject: Subject) -> Made:
        left = [role for role in subject.before["Roles"] if role not in subject.properties["Roles"]]
        self.take(call, left, subject.properties["PolicyName"])
        self.put(call, subject.properties["Roles"], subject.properties)
        return Made(subject.physical_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        self.take(call, subject.properties["Roles"], subject.properties["PolicyName"])


class ManagedPolicy(Kind):
    """Ref: the policy's ARN. GetAtt: PolicyArn."""

    type = "AWS::IAM::ManagedPolicy"
    name_property = "ManagedPolicyName"
    name_length_max = 128
    capability = NAMED
    attributes = frozenset({"PolicyArn"})
    properties = shapes(
        props("text", "ManagedPolicyName Path Description", replaces=True),
        props("any", "PolicyDocument", required=True, replaces=True),
        props("list", "Roles"),
    )

    def create(self, call: Call, subject: Subject) -> Made:
        given = subject.properties
        answer = call.iam.create_policy(
            PolicyName=subject.name,
            PolicyDocument=attribute_text(given["PolicyDocument"]),
            **{key: given[key] for key in ("Path", "Description") if key in given},
        )
        arn = answer["Policy"]["Arn"]
        for role in given.get("Roles", []):
            call.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        return Made(arn, {"PolicyArn": arn})

    def update(self, call: Call, subject: Subject) -> Made:
        old, new = subject.before.get("Roles", []), subject.properties.get("Roles", [])
        for role in new:
            if role not in old:
                call.iam.attach_role_policy(RoleName=role, PolicyArn=subject.physical_id)
        for role in old:
            if role not in new:
                unless_gone(call.iam.detach_role_policy, RoleName=role, PolicyArn=subject.physical_id)
        return Made(subject.physical_id, subject.attributes)

    def delete(self, call: Call, subject: Subject) -> None:
        for role in subject.properties.get("Roles", []):
            unless_gone(call.iam.detach_role_policy, RoleName=role, PolicyArn=subject.physical_id)
        unless_gone(call.iam.delete_policy, PolicyArn=subject.physical_id)


KINDS: tuple[Kind, ...] = (Role(), Policy(), ManagedPolicy())
