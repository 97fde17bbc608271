"""The operations of SSM on parameters of the types String and StringList."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from oncue.errors import ServiceError
from oncue.services import Call, Service, reads_only
from oncue.services.ssm import names
from oncue.services.ssm.names import Selected, refusal
from oncue.store import Row

VALUE_CHARACTERS_MAX = {"Standard": 4_096, "Advanced": 8_192}
PARAMETERS_MAX = 10_000
VERSIONS_MAX = 100
TAGS_MAX = 50
PAGE_DEFAULT = 10
DESCRIBED_DEFAULT = 50
NEWEST = (
    "SELECT v.*, p.tags FROM ssm_parameters p JOIN ssm_versions v"
    " ON v.account = p.account AND v.region = p.region AND v.name = p.name AND v.version = p.version"
    " WHERE p.account = :account AND p.region = :region"
)
Filter = dict[str, Any]
Tag = dict[str, str]


class Ssm(Service):
    name = "ssm"

    def put_parameter(
        self,
        call: Call,
        *,
        Name: str,
        Value: str,
        AllowedPattern: str | None = None,
        DataType: str | None = None,
        Description: str | None = None,
        Overwrite: bool | None = None,
        Tags: list[Tag] | None = None,
        Tier: str | None = None,
        Type: str | None = None,
    ) -> dict[str, Any]:
        names.check_new(Name)
        if AllowedPattern:
            raise refusal("Oncue does not support the parameter AllowedPattern of this operation.")
        former = _newest(call, Name, lock=True)
        if former and not Overwrite:
            raise ServiceError(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the "
                "request to true.",
            )
        if former and Tags:
            raise refusal("Invalid request: tags and overwrite can't be used together.")
        kind = Type or (former["kind"] if former else None)
        tier = _checked(kind, Value, Tier or (former["tier"] if former else "Standard"), DataType)
        version = int(former["version"]) + 1 if former else 1
        if former:
            _point(call, Name, version)
        else:
            _add(call, Name, _tag_map(Tags or []))
        told = Description if Description is not None or not former else former["description"]
        call.tx.run(
            "INSERT INTO ssm_versions"
            " (account, region, name, version, kind, value, tier, description, modified_at)"
            " VALUES (:account, :region, :name, :version, :kind, :value, :tier, :description, :now)",
            **_owner(call),
            name=Name,
            version=version,
            kind=kind,
            value=Value,
            tier=tier,
            description=told,
            now=call.now,
        )
        return {"Version": version, "Tier": tier}

    @reads_only
    def get_parameter(self, call: Call, *, Name: str, WithDecryption: bool | None = None) -> dict[str, Any]:
        selected = names.select(Name)
        row = _find(call, selected)
        if row is None:
            raise _missing(Name)
        return {"Parameter": _shape(row, selected)}

    @reads_only
    def get_parameters(
        self, call: Call, *, Names: list[str], WithDecryption: bool | None = None
    ) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        invalid: list[str] = []
        for name in dict.fromkeys(Names):
            selected = names.select(name)
            try:
                row = _find(call, selected)
            except ServiceError:  # a version that is not there is one more invalid name here
                row = None
            if row:
                found.append(_shape(row, selected))
            else:
                invalid.append(name)
        return {"Parameters": found, "InvalidParameters": invalid}

    @reads_only
    def get_parameters_by_path(
        self,
        call: Call,
        *,
        Path: str,
        MaxResults: int | None = None,
        NextToken: str | None = None,
        Recursive: bool | None = None,
        WithDecryption: bool | None = None,
    ) -> dict[str, Any]:
        if not Path.startswith("/"):
            raise refusal('The parameter path must begin with a forward slash "/".')
        prefix = Path if Path.endswith("/") else f"{Path}/"
        chosen = [
            row
            for row in _all(call)
            if row["name"].startswith(prefix) and (Recursive or "/" not in row["name"][len(prefix) :])
        ]
        return _page(chosen, lambda row: _shape(row), MaxResults or PAGE_DEFAULT, NextToken)

    @reads_only
    def describe_parameters(
        self,
        call: Call,
        *,
        MaxResults: int | None = None,
        NextToken: str | None = None,
        ParameterFilters: list[Filter] | None = None,
    ) -> dict[str, Any]:
        rows = [row for row in _all(call) if all(_passes(one, row) for one in ParameterFilters or [])]
        return _page(rows, _description, MaxResults or DESCRIBED_DEFAULT, NextToken)

    @reads_only
    def get_parameter_history(
        self,
        call: Call,
        *,
        Name: str,
        MaxResults: int | None = None,
        NextToken: str | None = None,
        WithDecryption: bool | None = None,
    ) -> dict[str, Any]:
        row = _find(call, names.select(Name))
        if row is None:
            raise _missing(Name)
        rows = call.tx.all(
            "SELECT * FROM ssm_versions WHERE account = :account AND region = :region AND name = :name"
            " ORDER BY version",
            **_owner(call),
            name=row["name"],
        )
        shown = [{**one, "key": f"{one['version']:019}"} for one in rows]
        size = MaxResults or DESCRIBED_DEFAULT
        return _page(shown, _past, size, NextToken, "key")

    def delete_parameter(self, call: Call, *, Name: str) -> None:
        if not _delete(call, Name):
            raise _missing(Name)

    def delete_parameters(self, call: Call, *, Names: list[str]) -> dict[str, Any]:
        gone = {name: _delete(call, name) for name in dict.fromkeys(Names)}
        return {
            "DeletedParameters": [name for name, done in gone.items() if done],
            "InvalidParameters": [name for name, done in gone.items() if not done],
        }

    def add_tags_to_resource(
        self, call: Call, *, ResourceType: str, ResourceId: str, Tags: list[Tag]
    ) -> None:
        _retag(call, ResourceType, ResourceId, lambda former: former | _tag_map(Tags))

    def remove_tags_from_resource(
        self, call: Call, *, ResourceType: str, ResourceId: str, TagKeys: list[str]
    ) -> None:
        def without(former: dict[str, str]) -> dict[str, str]:
            return {key: value for key, value in former.items() if key not in TagKeys}

        _retag(call, ResourceType, ResourceId, without)

    @reads_only
    def list_tags_for_resource(self, call: Call, *, ResourceType: str, ResourceId: str) -> dict[str, Any]:
        tags = _tagged(call, ResourceType, ResourceId)
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _owner(call: Call) -> dict[str, str]:
    return {"account": call.account, "region": call.region}


def _missing(name: str) -> ServiceError:
    return ServiceError("ParameterNotFound", f"Parameter {name} not found.")


def _newest(call: Call, name: str, *, lock: bool = False) -> Row | None:
    if lock:
        held = "SELECT 1 AS held FROM ssm_parameters WHERE account = :account AND region = :region"
        call.tx.one(f"{held} AND name = :name FOR UPDATE", **_owner(call), name=name)
    return call.tx.one(f"{NEWEST} AND p.name = :name", **_owner(call), name=name)


def _all(call: Call) -> list[Row]:
    return call.tx.all(f"{NEWEST} ORDER BY p.name LIMIT :most", **_owner(call), most=PARAMETERS_MAX)


def _find(call: Call, selected: Selected) -> Row | None:
    """The chosen version, else the newest; None when there is no such parameter."""
    for name in names.candidates(selected):
        row = _newest(call, name)
        if row is None or selected.version in (None, row["version"]):
            if row is not None:
                return row
            continue
        former = call.tx.one(
            "SELECT * FROM ssm_versions WHERE account = :account AND region = :region AND name = :name"
            " AND version = :version",
            **_owner(call),
            name=name,
            version=selected.version,
        )
        if former is None:
            raise ServiceError(
                "ParameterVersionNotFound",
                f"Systems Manager could not find version {selected.version} of {name}. "
                "Verify the version and try again.",
            )
        return former
    return None


def _checked(kind: str | None, value: str, tier: str, data_type: str | None) -> str:
    """The tier that the value needs. Refuses what cannot be stored, and secrets: there is no KMS here."""
    if kind is None:
        raise refusal("A parameter type is required when you create a parameter.")
    if kind == "SecureString":
        raise ServiceError(
            "UnsupportedParameterType",
            "Oncue does not support SecureString: it has no key service, and would store the secret as text.",
        )
    if data_type not in (None, "text"):
        raise refusal(f"Oncue does not support the data type {data_type} of a parameter; text is there.")
    if tier == "Intelligent-Tiering":
        tier = "Standard" if len(value) <= VALUE_CHARACTERS_MAX["Standard"] else "Advanced"
    if not value:
        raise refusal(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1."
        )
    if len(value) > VALUE_CHARACTERS_MAX[tier]:
        raise refusal(
            f"{tier} tier parameters support a maximum parameter value of {VALUE_CHARACTERS_MAX[tier]} "
            "characters."
        )
    return tier


def _add(call: Call, name: str, tags: dict[str, str]) -> None:
    count = call.tx.one(
        "SELECT COUNT(*) AS n FROM ssm_parameters WHERE account = :account AND region = :region",
        **_owner(call),
    )
    if count and count["n"] >= PARAMETERS_MAX:
        raise ServiceError("ParameterLimitExceeded", f"An account has at most {PARAMETERS_MAX} parameters.")
    added = call.tx.run(
        "INSERT INTO ssm_parameters (account, region, name, version, tags)"
        " VALUES (:account, :region, :name, 1, :tags) ON CONFLICT DO NOTHING",
        **_owner(call),
        name=name,
        tags=msgspec.json.encode(_within(tags)).decode(),
    )
    if not added:
        raise ServiceError("TooManyUpdates", "Somebody else has created this parameter at the same moment.")


def _point(call: Call, name: str, version: int) -> None:
    """Make room for one more version and let it be the newest."""
    call.tx.run(
        "DELETE FROM ssm_versions WHERE account = :account AND region = :region AND name = :name"
        " AND version <= :old",
        **_owner(call),
        name=name,
        old=version - VERSIONS_MAX,
    )
    call.tx.run(
        "UPDATE ssm_parameters SET version = :version"
        " WHERE account = :account AND region = :region AND name = :name",
        **_owner(call),
        name=name,
        version=version,
    )


def _delete(call: Call, name: str) -> bool:
    gone = call.tx.run(
        "DELETE FROM ssm_parameters WHERE account = :account AND region = :region AND name = :name",
        **_owner(call),
        name=name,
    )
    call.tx.run(
        "DELETE FROM ssm_versions WHERE account = :account AND region = :region AND name = :name",
        **_owner(call),
        name=name,
    )
    return bool(gone)


def _shape(row: Row, selected: Selected | None = None) -> dict[str, Any]:
    return {
        "Name": row["name"],
        "Type": row["kind"],
        "Value": row["value"],
        "Version": row["version"],
        "Selector": selected.selector if selected else None,
        "LastModifiedDate": row["modified_at"],
        "ARN": names.arn(row["region"], row["account"], row["name"]),
        "DataType": "text",
    }


def _description(row: Row) -> dict[str, Any]:
    return {
        "Name": row["name"],
        "ARN": names.arn(row["region"], row["account"], row["name"]),
        "Type": row["kind"],
        "LastModifiedDate": row["modified_at"],
        "LastModifiedUser": f"arn:aws:iam::{row['account']}:root",
        "Description": row["description"],
        "Version": row["version"],
        "Tier": row["tier"],
        "DataType": "text",
        "Policies": [],
    }


def _past(row: Row) -> dict[str, Any]:
    """One entry of the history: as described, with the value, without the ARN."""
    told = _description(row)
    del told["ARN"]
    return told | {"Value": row["value"]}


def _passes(chosen: Filter, row: Row) -> bool:
    key, option, values = chosen["Key"], chosen.get("Option", "Equals"), chosen.get("Values", [])
    column = {"Name": "name", "Type": "kind", "Tier": "tier"}.get(key)
    if column is None:
        raise ServiceError("InvalidFilterKey", f"Oncue does not support the filter key {key}.")
    text: str = row[column]
    if option == "Equals":
        return text in values
    if key == "Name" and option == "BeginsWith":
        return text.startswith(tuple(values))
    if key == "Name" and option == "Contains":
        return any(value in text for value in values)
    raise ServiceError("InvalidFilterOption", f"The filter option {option} is not valid for {key}.")


def _page(
    rows: list[Row],
    shape: Callable[[Row], dict[str, Any]],
    size: int,
    token: str | None,
    key: str = "name",
) -> dict[str, Any]:
    """One page of `rows`, sorted by `key`; the token names the last one of the page before."""
    after = ""
    if token:
        try:
            after = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            raise ServiceError("InvalidNextToken", "The specified token is not valid.") from None
    rest = [row for row in rows if row[key] > after]
    reply: dict[str, Any] = {"Parameters": [shape(row) for row in rest[:size]]}
    if len(rest) > size:
        reply["NextToken"] = base64.urlsafe_b64encode(rest[size - 1][key].encode()).decode()
    return reply


def _tag_map(tags: list[Tag]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _within(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        raise ServiceError("TooManyTagsError", f"A parameter has at most {TAGS_MAX} tags.")
    return tags


def _tagged(call: Call, kind: str, name: str) -> dict[str, str]:
    if kind != "Parameter":
        raise ServiceError("InvalidResourceType", f"Oncue has no resources of the type {kind}.")
    row = _newest(call, name, lock=False)
    if row is None:
        raise ServiceError(
            "InvalidResourceId", "The resource ID isn't valid. Verify that you entered it right."
        )
    found: dict[str, str] = msgspec.json.decode(row["tags"])
    return found


def _retag(call: Call, kind: str, name: str, step: Callable[[dict[str, str]], dict[str, str]]) -> None:
    _newest(call, name, lock=True)
    tags = _within(step(_tagged(call, kind, name)))
    call.tx.run(
        "UPDATE ssm_parameters SET tags = :tags"
        " WHERE account = :account AND region = :region AND name = :name",
        **_owner(call),
        name=name,
        tags=msgspec.json.encode(tags).decode(),
    )
