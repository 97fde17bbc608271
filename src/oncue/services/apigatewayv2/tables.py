"""The rows of HTTP APIs: finding, storing, and the deployments that freeze what a stage serves."""

from typing import Any

import msgspec

from oncue import clock
from oncue.errors import ServiceError
from oncue.services import Call
from oncue.store import Row

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
API_ID_CHARACTERS = 10
PART_ID_CHARACTERS = 7
ROUTES_MAX = INTEGRATIONS_MAX = 300  # quotas of HTTP APIs, developer guide "Quotas"
STAGES_MAX = 10
AUTHORIZERS_MAX = 10
DEPLOYMENTS_MAX = 300


def packed(members: dict[str, Any]) -> str:
    return msgspec.json.encode(members).decode()


def unpacked(row: Row, column: str = "members") -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(row[column])
    return found


def short_id(characters: int) -> str:
    """A random id of digits and small letters, as API Gateway's are; it also serves as a host name."""
    number = int(clock.token(8), 16)
    digits = []
    for _ in range(characters):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)


def refusal(sentence: str) -> ServiceError:
    return ServiceError("BadRequestException", sentence)


def missing(sentence: str, kind: str) -> ServiceError:
    return ServiceError("NotFoundException", sentence, 404, ResourceType=kind)


def conflict(sentence: str) -> ServiceError:
    return ServiceError("ConflictException", sentence, 409)


def full(what: str) -> ServiceError:
    return refusal(
        f"Maximum number of {what} for this API has been reached. "
        f"Please contact AWS if you need additional {what}."
    )


def api_row(call: Call, api_id: str) -> Row:
    """The caller's API, for reading."""
    return _api_row(call, api_id, "")


def locked_api(call: Call, api_id: str) -> Row:
    """The caller's API, held until the end of the transaction: changes of one API follow each other."""
    return _api_row(call, api_id, " FOR UPDATE")


def _api_row(call: Call, api_id: str, lock: str) -> Row:
    row = call.tx.one(f"SELECT * FROM apigatewayv2_apis WHERE id = :id{lock}", id=api_id)
    if row is None or (row["account"], row["region"]) != (call.account, call.region):
        raise missing(f"Invalid API identifier specified {call.account}:{api_id}", "Api")
    return row


def integration_row(call: Call, api_id: str, id: str) -> Row:
    row = call.tx.one(
        "SELECT * FROM apigatewayv2_integrations WHERE api_id = :api AND id = :id", api=api_id, id=id
    )
    if row is None:
        raise missing(f"Invalid Integration identifier specified {id}", "Integration")
    return row


def route_row(call: Call, api_id: str, id: str) -> Row:
    row = call.tx.one("SELECT * FROM apigatewayv2_routes WHERE api_id = :api AND id = :id", api=api_id, id=id)
    if row is None:
        raise missing(f"Invalid Route identifier specified {id}", "Route")
    return row


def authorizer_row(call: Call, api_id: str, id: str) -> Row:
    row = call.tx.one(
        "SELECT * FROM apigatewayv2_authorizers WHERE api_id = :api AND id = :id", api=api_id, id=id
    )
    if row is None:
        raise missing(f"Invalid Authorizer identifier specified {id}", "Authorizer")
    return row


def stage_row(call: Call, api_id: str, name: str) -> Row:
    row = call.tx.one(
        "SELECT * FROM apigatewayv2_stages WHERE api_id = :api AND name = :name", api=api_id, name=name
    )
    if row is None:
        raise missing("Invalid stage identifier specified", "Stage")
    return row


def deployment_row(call: Call, api_id: str, id: str) -> Row:
    row = call.tx.one(
        "SELECT * FROM apigatewayv2_deployments WHERE api_id = :api AND id = :id", api=api_id, id=id
    )
    if row is None:
        raise missing("Invalid Deployment identifier specified", "Deployment")
    return row


def rows_of(call: Call, table: str, api_id: str) -> list[Row]:
    """All integrations, routes, authorizers, stages or deployments of an API; each kind has a small
    maximum."""
    key = "name" if table == "stages" else "id"
    return call.tx.all(f"SELECT * FROM apigatewayv2_{table} WHERE api_id = :api ORDER BY {key}", api=api_id)


def require_room(call: Call, table: str, api_id: str, most: int) -> None:
    count = call.tx.one(f"SELECT COUNT(*) AS n FROM apigatewayv2_{table} WHERE api_id = :api", api=api_id)
    if count is not None and count["n"] >= most:
        raise full(table.capitalize())


def add_integration(call: Call, api_id: str, members: dict[str, Any]) -> str:
    require_room(call, "integrations", api_id, INTEGRATIONS_MAX)
    new_id = short_id(PART_ID_CHARACTERS)
    call.tx.run(
        "INSERT INTO apigatewayv2_integrations (api_id, id, members) VALUES (:api, :id, :members)",
        api=api_id,
        id=new_id,
        members=packed(members),
    )
    return new_id


def add_route(call: Call, api_id: str, key: str, members: dict[str, Any]) -> str:
    require_room(call, "routes", api_id, ROUTES_MAX)
    new_id = short_id(PART_ID_CHARACTERS)
    added = call.tx.run(
        "INSERT INTO apigatewayv2_routes (api_id, id, route_key, members)"
        " VALUES (:api, :id, :key, :members) ON CONFLICT DO NOTHING",
        api=api_id,
        id=new_id,
        key=key,
        members=packed(members),
    )
    if not added:
        raise conflict(f"Route with key {key} already exists for this API")
    return new_id


def add_authorizer(call: Call, api_id: str, members: dict[str, Any]) -> str:
    require_room(call, "authorizers", api_id, AUTHORIZERS_MAX)
    new_id = short_id(PART_ID_CHARACTERS - 1)
    added = call.tx.run(
        "INSERT INTO apigatewayv2_authorizers (api_id, id, name, members)"
        " VALUES (:api, :id, :name, :members) ON CONFLICT DO NOTHING",
        api=api_id,
        id=new_id,
        name=members["Name"],
        members=packed(members),
    )
    if not added:
        raise _named_twice(members["Name"])
    return new_id


def save_authorizer(call: Call, api_id: str, id: str, members: dict[str, Any]) -> None:
    others = [row["name"] for row in rows_of(call, "authorizers", api_id) if row["id"] != id]
    if members["Name"] in others:
        raise _named_twice(members["Name"])
    call.tx.run(
        "UPDATE apigatewayv2_authorizers SET name = :name, members = :members"
        " WHERE api_id = :api AND id = :id",
        api=api_id,
        id=id,
        name=members["Name"],
        members=packed(members),
    )


def _named_twice(name: str) -> ServiceError:
    return refusal(f"An authorizer named {name} already exists for this API")


def content(call: Call, api_id: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Routes by their keys, integrations and authorizers by their ids, as they are now."""
    return {
        "routes": {row["route_key"]: unpacked(row) for row in rows_of(call, "routes", api_id)},
        "integrations": {row["id"]: unpacked(row) for row in rows_of(call, "integrations", api_id)},
        "authorizers": {row["id"]: unpacked(row) for row in rows_of(call, "authorizers", api_id)},
    }


def add_deployment(call: Call, api_id: str, members: dict[str, Any], *, automatic: bool) -> str:
    """Freeze the routes, integrations and authorizers as they are now."""
    if not automatic:
        require_room(call, "deployments", api_id, DEPLOYMENTS_MAX)
    new_id = short_id(PART_ID_CHARACTERS)
    call.tx.run(
        "INSERT INTO apigatewayv2_deployments (api_id, id, automatic, created_at, members, content)"
        " VALUES (:api, :id, :automatic, :now, :members, :content)",
        api=api_id,
        id=new_id,
        automatic=int(automatic),
        now=call.now,
        members=packed(members),
        content=packed(content(call, api_id)),
    )
    return new_id


def point_stage(call: Call, api_id: str, name: str, deployment_id: str | None) -> None:
    call.tx.run(
        "UPDATE apigatewayv2_stages SET deployment_id = :deployment, updated_at = :now"
        " WHERE api_id = :api AND name = :name",
        api=api_id,
        name=name,
        deployment=deployment_id,
        now=call.now,
    )


def redeploy(call: Call, api_id: str) -> None:
    """Let the stages with AutoDeploy serve what is there now; their former deployments go."""
    stages = [row["name"] for row in rows_of(call, "stages", api_id) if row["auto_deploy"]]
    if not stages:
        return
    call.tx.run(
        "DELETE FROM apigatewayv2_deployments WHERE api_id = :api AND automatic = 1 AND NOT EXISTS ("
        "SELECT 1 FROM apigatewayv2_stages s WHERE s.api_id = apigatewayv2_deployments.api_id"
        " AND s.deployment_id = apigatewayv2_deployments.id AND s.auto_deploy = 0)",
        api=api_id,
    )
    description = "Automatic deployment triggered by changes to the Api configuration"
    new_id = add_deployment(call, api_id, {"Description": description}, automatic=True)
    for name in stages:
        point_stage(call, api_id, name, new_id)


def clear_parts(call: Call, api_id: str) -> None:
    for table in ("routes", "integrations", "authorizers"):
        call.tx.run(f"DELETE FROM apigatewayv2_{table} WHERE api_id = :api", api=api_id)


def save(call: Call, table: str, api_id: str, id: str, members: dict[str, Any]) -> None:
    """Replace the members of an integration, a route or a deployment."""
    call.tx.run(
        f"UPDATE apigatewayv2_{table} SET members = :members WHERE api_id = :api AND id = :id",
        api=api_id,
        id=id,
        members=packed(members),
    )


def save_api(call: Call, api_id: str, members: dict[str, Any]) -> None:
    call.tx.run(
        "UPDATE apigatewayv2_apis SET members = :members WHERE id = :id", id=api_id, members=packed(members)
    )


def save_stage(call: Call, api_id: str, name: str, members: dict[str, Any]) -> None:
    call.tx.run(
        "UPDATE apigatewayv2_stages SET members = :members, updated_at = :now"
        " WHERE api_id = :api AND name = :name",
        api=api_id,
        name=name,
        members=packed(members),
        now=call.now,
    )
