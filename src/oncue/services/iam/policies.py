"""The operations of IAM on managed policies and their versions."""

import re
from typing import Any

from oncue.services import Call, reads_only
from oncue.services.iam import documents, rows
from oncue.services.iam.rows import Tag
from oncue.store import Row

POLICIES_MAX = 1_500
VERSIONS_MAX = 5
VERSION = re.compile(r"v([1-9][0-9]{0,8})")
KIND = "policy"


class Policies:
    def create_policy(
        self,
        call: Call,
        *,
        PolicyName: str,
        PolicyDocument: str,
        Description: str | None = None,
        Path: str | None = None,
        Tags: list[Tag] | None = None,
    ) -> dict[str, Any]:
        documents.check_managed(PolicyDocument)
        if len(_all(call)) >= POLICIES_MAX:
            raise documents.over(f"Cannot exceed quota for PoliciesPerAccount: {POLICIES_MAX}")
        added = call.tx.run(
            "INSERT INTO iam_policies (account, name, folded, id, path, description, default_version,"
            " last_version, created_at, updated_at)"
            " VALUES (:account, :name, :folded, :id, :path, :description, 1, 1, :now, :now)"
            " ON CONFLICT DO NOTHING",
            account=call.account,
            name=PolicyName,
            folded=PolicyName.lower(),
            id=rows.new_id("ANPA"),
            path=Path or "/",
            description=Description,
            now=call.now,
        )
        if not added:
            raise rows.exists(
                f"A policy called {PolicyName} already exists. Duplicate names are not allowed."
            )
        _add_version(call, PolicyName, 1, PolicyDocument)
        rows.add_tags(call, KIND, PolicyName, Tags)
        arn = f"arn:aws:iam::{call.account}:policy{Path or '/'}{PolicyName}"
        return {"Policy": _shape(call, rows.policy(call, arn))}

    @reads_only
    def get_policy(self, call: Call, *, PolicyArn: str) -> dict[str, Any]:
        return {"Policy": _shape(call, rows.policy(call, PolicyArn))}

    @reads_only
    def list_policies(
        self,
        call: Call,
        *,
        Marker: str | None = None,
        MaxItems: int | None = None,
        OnlyAttached: bool | None = None,
        PathPrefix: str | None = None,
        Scope: str | None = None,
    ) -> dict[str, Any]:
        """The account's own policies: those of AWS may be attached, but have no catalogue here."""
        found = [] if Scope == "AWS" else _all(call)
        chosen = [
            row
            for row in found
            if row["path"].startswith(PathPrefix or "/")
            and (not OnlyAttached or rows.attachments(call, rows.policy_arn(row)))
        ]
        return rows.page(
            "Policies",
            chosen,
            lambda row: row["name"],
            lambda row: rows.policy_shape(call, row),
            Marker,
            MaxItems,
        )

    def delete_policy(self, call: Call, *, PolicyArn: str) -> None:
        row = rows.policy(call, PolicyArn, lock=True)
        if rows.attachments(call, PolicyArn):
            raise rows.in_use("Cannot delete a policy attached to entities.")
        if len(_versions(call, row["name"])) > 1:
            raise rows.in_use(
                "This policy has more than one version. Before you delete a policy, you must delete the "
                "policy's versions. The default version is deleted with the policy."
            )
        rows.remove_tags(call, KIND, row["name"])
        call.tx.run(
            "DELETE FROM iam_policy_versions WHERE account = :account AND policy = :name",
            account=call.account,
            name=row["name"],
        )
        call.tx.run(
            "DELETE FROM iam_policies WHERE account = :account AND name = :name",
            account=call.account,
            name=row["name"],
        )

    def create_policy_version(
        self, call: Call, *, PolicyArn: str, PolicyDocument: str, SetAsDefault: bool | None = None
    ) -> dict[str, Any]:
        row = rows.policy(call, PolicyArn, lock=True)
        documents.check_managed(PolicyDocument)
        if len(_versions(call, row["name"])) >= VERSIONS_MAX:
            raise documents.over(
                f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, "
                "you must delete an existing version."
            )
        number = row["last_version"] + 1
        _add_version(call, row["name"], number, PolicyDocument)
        default = number if SetAsDefault else row["default_version"]
        _point(call, row["name"], default, number)
        version = _version(call, PolicyArn, row, f"v{number}")
        return {"PolicyVersion": _version_shape(version, default, with_document=False)}

    def set_default_policy_version(self, call: Call, *, PolicyArn: str, VersionId: str) -> None:
        row = rows.policy(call, PolicyArn, lock=True)
        version = _version(call, PolicyArn, row, VersionId)
        _point(call, row["name"], version["number"], row["last_version"])

    def delete_policy_version(self, call: Call, *, PolicyArn: str, VersionId: str) -> None:
        row = rows.policy(call, PolicyArn, lock=True)
        version = _version(call, PolicyArn, row, VersionId)
        if version["number"] == row["default_version"]:
            raise rows.in_use("Cannot delete the default version of a policy.")
        call.tx.run(
            "DELETE FROM iam_policy_versions"
            " WHERE account = :account AND policy = :name AND number = :number",
            account=call.account,
            name=row["name"],
            number=version["number"],
        )

    @reads_only
    def get_policy_version(self, call: Call, *, PolicyArn: str, VersionId: str) -> dict[str, Any]:
        row = rows.policy(call, PolicyArn)
        version = _version(call, PolicyArn, row, VersionId)
        return {"PolicyVersion": _version_shape(version, row["default_version"], with_document=True)}

    @reads_only
    def list_policy_versions(
        self, call: Call, *, PolicyArn: str, Marker: str | None = None, MaxItems: int | None = None
    ) -> dict[str, Any]:
        row = rows.policy(call, PolicyArn)
        return rows.page(
            "Versions",
            _versions(call, row["name"]),
            lambda version: f"{version['number']:09}",
            lambda version: _version_shape(version, row["default_version"], with_document=False),
            Marker,
            MaxItems,
        )

    def tag_policy(self, call: Call, *, PolicyArn: str, Tags: list[Tag]) -> None:
        rows.add_tags(call, KIND, rows.policy(call, PolicyArn, lock=True)["name"], Tags)

    def untag_policy(self, call: Call, *, PolicyArn: str, TagKeys: list[str]) -> None:
        rows.remove_tags(call, KIND, rows.policy(call, PolicyArn, lock=True)["name"], TagKeys)

    @reads_only
    def list_policy_tags(
        self, call: Call, *, PolicyArn: str, Marker: str | None = None, MaxItems: int | None = None
    ) -> dict[str, Any]:
        found = rows.tags(call, KIND, rows.policy(call, PolicyArn)["name"])
        return rows.page("Tags", found, lambda tag: tag["Key"], lambda tag: tag, Marker, MaxItems)


def _all(call: Call) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM iam_policies WHERE account = :account ORDER BY name LIMIT :most",
        account=call.account,
        most=rows.ROWS_MAX,
    )


def _shape(call: Call, row: Row) -> dict[str, Any]:
    own = {"Description": row["description"], "Tags": rows.tags(call, KIND, row["name"])}
    return rows.policy_shape(call, row) | own


def _point(call: Call, name: str, default: int, last: int) -> None:
    call.tx.run(
        "UPDATE iam_policies SET default_version = :number, last_version = :last, updated_at = :now"
        " WHERE account = :account AND name = :name",
        account=call.account,
        name=name,
        number=default,
        last=last,
        now=call.now,
    )


def _add_version(call: Call, name: str, number: int, document: str) -> None:
    call.tx.run(
        "INSERT INTO iam_policy_versions (account, policy, number, document, created_at)"
        " VALUES (:account, :name, :number, :document, :now)",
        account=call.account,
        name=name,
        number=number,
        document=document,
        now=call.now,
    )


def _versions(call: Call, name: str) -> list[Row]:
    return call.tx.all(
        "SELECT * FROM iam_policy_versions WHERE account = :account AND policy = :name",
        account=call.account,
        name=name,
    )


def _version(call: Call, arn: str, policy: Row, version_id: str) -> Row:
    number = VERSION.fullmatch(version_id)
    for row in _versions(call, policy["name"]) if number else []:
        if number and row["number"] == int(number[1]):
            return row
    raise rows.missing(f"Policy {arn} version {version_id} does not exist or is not attachable.")


def _version_shape(row: Row, default: int, *, with_document: bool) -> dict[str, Any]:
    return {
        "VersionId": f"v{row['number']}",
        "IsDefaultVersion": row["number"] == default,
        "CreateDate": row["created_at"],
        "Document": documents.quoted(row["document"]) if with_document else None,
    }
