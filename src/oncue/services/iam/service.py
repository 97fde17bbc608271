"""The operations of IAM on roles, with what is written into them and attached to them."""

from typing import Any

from oncue.services import Call, Service, reads_only
from oncue.services.iam import documents, rows
from oncue.services.iam.policies import Policies
from oncue.services.iam.rows import Tag
from oncue.store import Row

ROLES_MAX = 1_000
ATTACHED_MAX = 10
SESSION_S = 3_600
KIND = "role"


class Iam(Policies, Service):
    name = "iam"
    refusal = "InvalidInput"

    def create_role(
        self,
        call: Call,
        *,
        RoleName: str,
        AssumeRolePolicyDocument: str,
        Description: str | None = None,
        MaxSessionDuration: int | None = None,
        Path: str | None = None,
        PermissionsBoundary: str | None = None,
        Tags: list[Tag] | None = None,
    ) -> dict[str, Any]:
        documents.check_trust(AssumeRolePolicyDocument)
        if PermissionsBoundary is not None:
            _check_attachable(call, PermissionsBoundary)
        if len(_all(call)) >= ROLES_MAX:
            raise documents.over(f"Cannot exceed quota for RolesPerAccount: {ROLES_MAX}")
        added = call.tx.run(
            "INSERT INTO iam_roles"
            " (account, name, folded, id, path, trust, description, max_session_s, boundary, created_at)"
            " VALUES (:account, :name, :folded, :id, :path, :trust, :description, :session, :boundary, :now)"
            " ON CONFLICT DO NOTHING",
            account=call.account,
            name=RoleName,
            folded=RoleName.lower(),
            id=rows.new_id("AROA"),
            path=Path or "/",
            trust=AssumeRolePolicyDocument,
            description=Description,
            session=MaxSessionDuration or SESSION_S,
            boundary=PermissionsBoundary,
            now=call.now,
        )
        if not added:
            raise rows.exists(f"Role with name {RoleName} already exists.")
        rows.add_tags(call, KIND, RoleName, Tags)
        return {"Role": _shape(call, rows.role(call, RoleName))}

    @reads_only
    def get_role(self, call: Call, *, RoleName: str) -> dict[str, Any]:
        return {"Role": _shape(call, rows.role(call, RoleName)) | {"RoleLastUsed": {}}}

    @reads_only
    def list_roles(
        self,
        call: Call,
        *,
        Marker: str | None = None,
        MaxItems: int | None = None,
        PathPrefix: str | None = None,
    ) -> dict[str, Any]:
        chosen = [row for row in _all(call) if row["path"].startswith(PathPrefix or "/")]
        return rows.page("Roles", chosen, lambda row: row["name"], rows.role_shape, Marker, MaxItems)

    def update_role(
        self,
        call: Call,
        *,
        RoleName: str,
        Description: str | None = None,
        MaxSessionDuration: int | None = None,
    ) -> dict[str, Any]:
        row = rows.role(call, RoleName, lock=True)
        call.tx.run(
            "UPDATE iam_roles SET description = :description, max_session_s = :session"
            " WHERE account = :account AND name = :name",
            account=call.account,
            name=RoleName,
            description=row["description"] if Description is None else Description,
            session=MaxSessionDuration or row["max_session_s"],
        )
        return {}

    def update_assume_role_policy(self, call: Call, *, RoleName: str, PolicyDocument: str) -> None:
        rows.role(call, RoleName, lock=True)
        documents.check_trust(PolicyDocument)
        call.tx.run(
            "UPDATE iam_roles SET trust = :trust WHERE account = :account AND name = :name",
            account=call.account,
            name=RoleName,
            trust=PolicyDocument,
        )

    def put_role_permissions_boundary(self, call: Call, *, RoleName: str, PermissionsBoundary: str) -> None:
        rows.role(call, RoleName, lock=True)
        _check_attachable(call, PermissionsBoundary)
        _set_boundary(call, RoleName, PermissionsBoundary)

    def delete_role_permissions_boundary(self, call: Call, *, RoleName: str) -> None:
        rows.role(call, RoleName, lock=True)
        _set_boundary(call, RoleName, None)

    def delete_role(self, call: Call, *, RoleName: str) -> None:
        rows.role(call, RoleName, lock=True)
        if _attached(call, RoleName):
            raise rows.in_use("Cannot delete entity, must detach all policies first.")
        if _inline(call, RoleName):
            raise rows.in_use("Cannot delete entity, must delete policies first.")
        rows.remove_tags(call, KIND, RoleName)
        call.tx.run(
            "DELETE FROM iam_roles WHERE account = :account AND name = :name",
            account=call.account,
            name=RoleName,
        )

    # Inline policies

    def put_role_policy(self, call: Call, *, RoleName: str, PolicyName: str, PolicyDocument: str) -> None:
        rows.role(call, RoleName, lock=True)
        documents.check_permissions(PolicyDocument)
        call.tx.run(
            "INSERT INTO iam_role_policies (account, role, name, document)"
            " VALUES (:account, :role, :name, :document)"
            " ON CONFLICT (account, role, name) DO UPDATE SET document = :document",
            account=call.account,
            role=RoleName,
            name=PolicyName,
            document=PolicyDocument,
        )
        most = documents.INLINE_CHARACTERS_MAX
        if sum(documents.characters(row["document"]) for row in _inline(call, RoleName)) > most:
            raise documents.over(f"Maximum policy size of {most} bytes exceeded for role {RoleName}")

    @reads_only
    def get_role_policy(self, call: Call, *, RoleName: str, PolicyName: str) -> dict[str, Any]:
        rows.role(call, RoleName)
        row = _inline_one(call, RoleName, PolicyName)
        document = documents.quoted(row["document"])
        return {"RoleName": RoleName, "PolicyName": PolicyName, "PolicyDocument": document}

    @reads_only
    def list_role_policies(
        self, call: Call, *, RoleName: str, Marker: str | None = None, MaxItems: int | None = None
    ) -> dict[str, Any]:
        rows.role(call, RoleName)
        found = _inline(call, RoleName)
        return rows.page(
            "PolicyNames", found, lambda row: row["name"], lambda row: row["name"], Marker, MaxItems
        )

    def delete_role_policy(self, call: Call, *, RoleName: str, PolicyName: str) -> None:
        rows.role(call, RoleName, lock=True)
        _inline_one(call, RoleName, PolicyName)
        call.tx.run(
            "DELETE FROM iam_role_policies WHERE account = :account AND role = :role AND name = :name",
            account=call.account,
            role=RoleName,
            name=PolicyName,
        )

    # Attached policies

    def attach_role_policy(self, call: Call, *, RoleName: str, PolicyArn: str) -> None:
        """Policies of AWS need not be known to us; attaching one that is attached changes nothing."""
        rows.role(call, RoleName, lock=True)
        _check_attachable(call, PolicyArn)
        call.tx.run(
            "INSERT INTO iam_attachments (account, role, policy_arn) VALUES (:account, :role, :arn)"
            " ON CONFLICT DO NOTHING",
            account=call.account,
            role=RoleName,
            arn=PolicyArn,
        )
        if len(_attached(call, RoleName)) > ATTACHED_MAX:
            raise documents.over(f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_MAX}")

    def detach_role_policy(self, call: Call, *, RoleName: str, PolicyArn: str) -> None:
        rows.role(call, RoleName, lock=True)
        gone = call.tx.run(
            "DELETE FROM iam_attachments WHERE account = :account AND role = :role AND policy_arn = :arn",
            account=call.account,
            role=RoleName,
            arn=PolicyArn,
        )
        if not gone:
            raise rows.missing(f"Policy {PolicyArn} was not found.")

    @reads_only
    def list_attached_role_policies(
        self,
        call: Call,
        *,
        RoleName: str,
        Marker: str | None = None,
        MaxItems: int | None = None,
        PathPrefix: str | None = None,
    ) -> dict[str, Any]:
        rows.role(call, RoleName)
        prefix = PathPrefix or "/"
        found = [
            row
            for row in _attached(call, RoleName)
            if row["policy_arn"].partition(":policy")[2].startswith(prefix)
        ]
        return rows.page(
            "AttachedPolicies", found, lambda row: row["policy_arn"], _attached_shape, Marker, MaxItems
        )

    @reads_only
    def list_instance_profiles_for_role(
        self, call: Call, *, RoleName: str, Marker: str | None = None, MaxItems: int | None = None
    ) -> dict[str, Any]:
        """There are no instances and so no instance profiles."""
        rows.role(call, RoleName)
        return {"InstanceProfiles": [], "IsTruncated": False}

    # Tags

    def tag_role(self, call: Call, *, RoleName: str, Tags: list[Tag]) -> None:
        rows.role(call, RoleName, lock=True)
        rows.add_tags(call, KIND, RoleName, Tags)

    def untag_role(self, call: Call, *, RoleName: str, TagKeys: list[str]) -> None:
        rows.role(call, RoleName, lock=True)
        rows.remove_tags(call, KIND, RoleName, TagKeys)

    @reads_only
    def list_role_tags(
        self, call: Call, *, RoleName: str, Marker: str | None = None, MaxItems: int | None = None
    ) -> dict[str, Any]:
        rows.role(call, RoleName)
        found = rows.tags(call, KIND, RoleName)
        return rows.page("Tags", found, lambda tag: tag["Key"], lambda tag: tag, Marker, MaxItems)


def _all(call: Call) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM iam_roles WHERE account = :account ORDER BY name LIMIT :most",
        account=call.account,
        most=rows.ROWS_MAX,
    )


def _shape(call: Call, row: Row) -> dict[str, Any]:
    return rows.role_shape(row) | {"Tags": rows.tags(call, KIND, row["name"]) or None}


def _set_boundary(call: Call, name: str, boundary: str | None) -> None:
    call.tx.run(
        "UPDATE iam_roles SET boundary = :boundary WHERE account = :account AND name = :name",
        account=call.account,
        name=name,
        boundary=boundary,
    )


def _inline(call: Call, role: str) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM iam_role_policies WHERE account = :account AND role = :role",
        account=call.account,
        role=role,
    )


def _inline_one(call: Call, role: str, name: str) -> Row:
    for row in _inline(call, role):
        if row["name"] == name:
            return row
    raise rows.missing(f"The role policy with name {name} cannot be found.")


def _attached(call: Call, role: str) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM iam_attachments WHERE account = :account AND role = :role",
        account=call.account,
        role=role,
    )


def _attached_shape(row: Row) -> dict[str, str]:
    return {"PolicyName": row["policy_arn"].rpartition("/")[2], "PolicyArn": row["policy_arn"]}


def _check_attachable(call: Call, arn: str) -> None:
    if not rows.AWS_POLICY.fullmatch(arn):
        rows.policy(call, arn, lock=True, sentence="Policy {arn} does not exist or is not attachable.")
