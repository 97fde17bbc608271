"""The operations on functions: create, read, update, delete, publish, reserve, tag."""

import hashlib
import re
from typing import Any

import msgspec

from oncue import clock, workers
from oncue.errors import ServiceError
from oncue.services import Call, reads_only
from oncue.services.lambda_ import configuration, names
from oncue.services.lambda_.configuration import invalid
from oncue.services.lambda_.names import LATEST, FunctionName
from oncue.services.lambda_.sequencing import settings as sequences
from oncue.store import Row, blobs

ARTIFACTS_BUCKET = "oncue-artifacts"  # names what our CLI has put into the store, by SHA-256
ARTIFACT_KEY = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.zip)?")
LIST_DEFAULT = 50
CHANGED_TOPIC = "lambda/functions"  # one has come or gone


class Functions:
    """Zip functions, `$LATEST` and published versions. Aliases, layers, images and VPCs are refused."""

    def create_function(
        self,
        call: Call,
        *,
        FunctionName: str,
        Role: str,
        Code: dict[str, Any],
        Runtime: str | None = None,
        Handler: str | None = None,
        Description: str | None = None,
        Timeout: int | None = None,
        MemorySize: int | None = None,
        Publish: bool = False,
        PackageType: str | None = None,
        Environment: dict[str, Any] | None = None,
        DeadLetterConfig: dict[str, str] | None = None,
        TracingConfig: dict[str, str] | None = None,
        Tags: dict[str, str] | None = None,
        Architectures: list[str] | None = None,
        EphemeralStorage: dict[str, int] | None = None,
        SnapStart: dict[str, str] | None = None,
        LoggingConfig: dict[str, str] | None = None,
        Layers: list[str] | None = None,
        VpcConfig: dict[str, Any] | None = None,
        FileSystemConfigs: list[dict[str, Any]] | None = None,
        KMSKeyArn: str | None = None,
        ImageConfig: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region)
        changes = {key: value for key, value in locals().items() if key in SETTINGS}
        _check_new_name(name.name)
        _check_tags(Tags or {})
        settings = configuration.merged(configuration.defaults(name.name), changes, name.name)
        workers.check_runtime(settings["Runtime"])
        archive = archive_of(call, Code)
        row = {
            "account": name.account,
            "region": name.region,
            "name": name.name,
            "version": LATEST,
            "revision": clock.new_id(),
            "settings": _json(settings),
            "code_sha256": blobs.put(call.tx, archive),
            "code_bytes": len(archive),
            "modified_at": call.now,
            "tags": _json(Tags or {}),
            "policy": "[]",
            "reserved": None,
            "published": 0,
        }
        if not insert(call, row):
            raise ServiceError(
                "ResourceConflictException", f"Function already exist: {name.name}", 409, Type="User"
            )
        sequences.refresh_function(call, name)  # a mapping may be older than its function
        call.tx.wake(CHANGED_TOPIC)
        if Publish:
            row = publish(call, row, None)
        return configuration.described_created(row)

    @reads_only
    def get_function(self, call: Call, *, FunctionName: str, Qualifier: str | None = None) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        row, latest = load(call, name), load_latest(call, name)
        reply: dict[str, Any] = {
            "Configuration": configuration.described(row, arn=name.asked_arn),
            "Code": {
                "RepositoryType": "S3",
                "Location": f"{call.base_url}/_oncue/artifacts/{row['code_sha256']}",
            },
        }
        if tags := msgspec.json.decode(latest["tags"]):
            reply["Tags"] = tags
        if latest["reserved"] is not None:
            reply["Concurrency"] = {"ReservedConcurrentExecutions": latest["reserved"]}
        return reply

    @reads_only
    def get_function_configuration(
        self, call: Call, *, FunctionName: str, Qualifier: str | None = None
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        return configuration.described(load(call, name), arn=name.asked_arn)

    @reads_only
    def list_functions(
        self,
        call: Call,
        *,
        FunctionVersion: str | None = None,
        Marker: str | None = None,
        MaxItems: int = LIST_DEFAULT,
    ) -> dict[str, Any]:
        after, _, after_version = (Marker or "").partition(":")
        rows = call.tx.all(
            """
            SELECT * FROM lambda_functions WHERE account = :a AND region = :r
              AND (:every = 1 OR version = '$LATEST') AND (name, version) > (:name, :version)
            ORDER BY name, version LIMIT :limit
            """,
            a=call.account,
            r=call.region,
            every=1 if FunctionVersion else 0,
            name=after,
            version=after_version,
            limit=MaxItems + 1,
        )
        return _page("Functions", rows, MaxItems)

    def update_function_code(
        self,
        call: Call,
        *,
        FunctionName: str,
        ZipFile: bytes | None = None,
        S3Bucket: str | None = None,
        S3Key: str | None = None,
        Architectures: list[str] | None = None,
        Publish: bool = False,
        DryRun: bool = False,
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region)
        row = load_latest(call, name, lock=True)
        check_revision(row, RevisionId)
        archive = archive_of(call, {"ZipFile": ZipFile, "S3Bucket": S3Bucket, "S3Key": S3Key})
        changes = {"Architectures": Architectures}
        settings = configuration.merged(msgspec.json.decode(row["settings"]), changes, name.name)
        sha256 = hashlib.sha256(archive).hexdigest()
        updated = row | {"settings": _json(settings), "code_sha256": sha256, "code_bytes": len(archive)}
        if not DryRun:
            blobs.put(call.tx, archive)
            updated = save(call, updated)
            if Publish:
                updated = publish(call, updated, None)
        return configuration.described_updated(updated)

    def update_function_configuration(
        self,
        call: Call,
        *,
        FunctionName: str,
        Role: str | None = None,
        Runtime: str | None = None,
        Handler: str | None = None,
        Description: str | None = None,
        Timeout: int | None = None,
        MemorySize: int | None = None,
        Environment: dict[str, Any] | None = None,
        DeadLetterConfig: dict[str, str] | None = None,
        TracingConfig: dict[str, str] | None = None,
        RevisionId: str | None = None,
        EphemeralStorage: dict[str, int] | None = None,
        SnapStart: dict[str, str] | None = None,
        LoggingConfig: dict[str, str] | None = None,
        Layers: list[str] | None = None,
        VpcConfig: dict[str, Any] | None = None,
        FileSystemConfigs: list[dict[str, Any]] | None = None,
        KMSKeyArn: str | None = None,
        ImageConfig: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        changes = {key: value for key, value in locals().items() if key in SETTINGS}
        name = names.read(FunctionName, call.account, call.region)
        row = load_latest(call, name, lock=True)
        check_revision(row, RevisionId)
        settings = configuration.merged(msgspec.json.decode(row["settings"]), changes, name.name)
        if Runtime is not None:
            workers.check_runtime(Runtime)
        return configuration.described_updated(save(call, row | {"settings": _json(settings)}))

    def delete_function(
        self, call: Call, *, FunctionName: str, Qualifier: str | None = None
    ) -> dict[str, Any]:
        """Mappings of the function stay, as on AWS; they wait until it exists again."""
        name = names.read(FunctionName, call.account, call.region, Qualifier)
        load(call, name)
        if name.qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        only = "" if name.qualifier is None else " AND version = :version"
        values = {} if name.qualifier is None else {"version": name.qualifier}
        call.tx.run(
            f"DELETE FROM lambda_functions WHERE account = :a AND region = :r AND name = :n{only}",
            a=name.account,
            r=name.region,
            n=name.name,
            **values,
        )
        call.tx.wake(CHANGED_TOPIC)
        return {"StatusCode": 204}

    def publish_version(
        self,
        call: Call,
        *,
        FunctionName: str,
        CodeSha256: str | None = None,
        Description: str | None = None,
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region)
        row = load_latest(call, name, lock=True)
        check_revision(row, RevisionId)
        current = configuration.sha256_base64(row["code_sha256"])
        if CodeSha256 and CodeSha256 != current:
            raise invalid(
                f"CodeSHA256 ({CodeSha256}) is different from current CodeSHA256 in $LATEST ({current})."
            )
        return configuration.described(publish(call, row, Description))

    @reads_only
    def list_versions_by_function(
        self, call: Call, *, FunctionName: str, Marker: str | None = None, MaxItems: int = LIST_DEFAULT
    ) -> dict[str, Any]:
        name = names.read(FunctionName, call.account, call.region)
        load_latest(call, name)
        rows = call.tx.all(
            "SELECT * FROM lambda_functions WHERE account = :a AND region = :r AND name = :n",
            a=name.account,
            r=name.region,
            n=name.name,
        )
        rows.sort(key=_number)
        after = _number({"version": Marker.rpartition(":")[2]}) if Marker else -1
        page = _page("Versions", [row for row in rows if _number(row) > after], MaxItems)
        for shown in page["Versions"]:
            if shown["Version"] == LATEST:
                shown["FunctionArn"] += f":{LATEST}"
        return page

    # Concurrency, code signing, tags

    def put_function_concurrency(
        self, call: Call, *, FunctionName: str, ReservedConcurrentExecutions: int
    ) -> dict[str, Any]:
        """Enforced by each node for itself."""
        self._reserve(call, FunctionName, ReservedConcurrentExecutions)
        return {"ReservedConcurrentExecutions": ReservedConcurrentExecutions}

    @reads_only
    def get_function_concurrency(self, call: Call, *, FunctionName: str) -> dict[str, Any]:
        row = load_latest(call, names.read(FunctionName, call.account, call.region))
        return {"ReservedConcurrentExecutions": row["reserved"]}

    def delete_function_concurrency(self, call: Call, *, FunctionName: str) -> None:
        self._reserve(call, FunctionName, None)

    def _reserve(self, call: Call, function: str, count: int | None) -> None:
        name = names.read(function, call.account, call.region)
        row = load_latest(call, name, lock=True)
        _update(call, row, "reserved = :value", value=count)

    @reads_only
    def get_function_code_signing_config(self, call: Call, *, FunctionName: str) -> dict[str, Any]:
        return {
            "FunctionName": load_latest(call, names.read(FunctionName, call.account, call.region))["name"]
        }


SETTINGS = frozenset(
    {
        *("Role", "Runtime", "Handler", "Description", "Timeout", "MemorySize", "PackageType", "Environment"),
        *("DeadLetterConfig", "TracingConfig", "Architectures", "EphemeralStorage", "SnapStart"),
        *("LoggingConfig", *configuration.EMPTY_ONLY),
    }
)


def archive_of(call: Call, code: dict[str, Any]) -> bytes:
    """The zip file that a `Code` names, checked. ServiceError InvalidParameterValueException."""
    archive, bucket, key = code.get("ZipFile"), code.get("S3Bucket"), code.get("S3Key")
    for other in ("S3ObjectVersion", "S3ObjectStorageMode", "ImageUri", "SourceKMSKeyArn"):
        if code.get(other):
            raise invalid(f"Oncue does not support {other} as a source of function code.")
    if archive is not None and (bucket or key):
        raise invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
    if archive is None:
        archive = _artifact(call, bucket, key)
    if len(archive) > configuration.ARCHIVE_BYTES_MAX:
        raise invalid(f"Zipped size must be smaller than {configuration.ARCHIVE_BYTES_MAX} bytes")
    workers.check_archive(archive)
    return bytes(archive)


def _artifact(call: Call, bucket: str | None, key: str | None) -> bytes:
    if not bucket or not key:
        raise invalid("Please provide a source for function code.")
    if bucket != ARTIFACTS_BUCKET:
        raise invalid(
            f"Oncue has no Amazon S3: it cannot read the bucket {bucket}. Send the code as ZipFile, or "
            f"deploy with `oncue deploy`, which puts it into {ARTIFACTS_BUCKET}."
        )
    match = ARTIFACT_KEY.fullmatch(key)
    data = blobs.get(call.tx, match[1]) if match else None
    if data is None:
        raise invalid(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: "
            "The specified key does not exist."
        )
    return data


def load(call: Call, name: FunctionName, *, lock: bool = False) -> Row:
    """The row of the version that was asked for. ServiceError ResourceNotFoundException."""
    row = call.tx.one(
        "SELECT * FROM lambda_functions WHERE account = :a AND region = :r AND name = :n AND version = :v"
        + " FOR UPDATE" * lock,
        a=name.account,
        r=name.region,
        n=name.name,
        v=name.version,
    )
    if row is None:
        raise names.not_found(name)
    return row


def load_latest(call: Call, name: FunctionName, *, lock: bool = False) -> Row:
    return load(call, names.FunctionName(name.account, name.region, name.name, None), lock=lock)


def any_at_all(call: Call) -> bool:
    return call.tx.one("SELECT 1 AS one FROM lambda_functions LIMIT 1") is not None


def existing(call: Call) -> set[str]:
    """The ARNs of all functions of all owners."""
    rows = call.tx.all("SELECT account, region, name FROM lambda_functions WHERE version = '$LATEST'")
    return {FunctionName(row["account"], row["region"], row["name"], None).arn for row in rows}


def insert(call: Call, row: Row) -> bool:
    return bool(
        call.tx.run(
            """
            INSERT INTO lambda_functions (account, region, name, version, revision, settings, code_sha256,
                code_bytes, modified_at, tags, policy, reserved, published)
            VALUES (:account, :region, :name, :version, :revision, :settings, :code_sha256,
                :code_bytes, :modified_at, :tags, :policy, :reserved, :published)
            ON CONFLICT (account, region, name, version) DO NOTHING
            """,
            **row,
        )
    )


def save(call: Call, row: Row) -> Row:
    """Write settings and code of `$LATEST` under a new revision; the answer is the row as it is now."""
    new = row | {"revision": clock.new_id(), "modified_at": call.now}
    _update(
        call,
        new,
        "revision = :revision, settings = :settings, code_sha256 = :sha256, code_bytes = :size, "
        "modified_at = :at",
        revision=new["revision"],
        settings=new["settings"],
        sha256=new["code_sha256"],
        size=new["code_bytes"],
        at=new["modified_at"],
    )
    return new


def publish(call: Call, latest: Row, description: str | None) -> Row:
    """The newest version, a new one only when `$LATEST` differs from it (PublishVersion)."""
    row = call.tx.one(
        "SELECT * FROM lambda_functions WHERE account = :a AND region = :r AND name = :n AND version = :v",
        a=latest["account"],
        r=latest["region"],
        n=latest["name"],
        v=str(latest["published"]),
    )
    settings = msgspec.json.decode(latest["settings"])
    if description:
        settings["Description"] = description
    if row and (row["code_sha256"], msgspec.json.decode(row["settings"])) == (
        latest["code_sha256"],
        settings,
    ):
        return row
    number = latest["published"] + 1
    new = latest | {
        "version": str(number),
        "revision": clock.new_id(),
        "settings": _json(settings),
        "modified_at": call.now,
        "tags": "{}",
        "reserved": None,
        "policy": "[]",
    }
    insert(call, new)
    _update(call, latest, "published = :number", number=number)
    return new


def _update(call: Call, row: Row, assignments: str, **values: Any) -> None:
    call.tx.run(
        f"UPDATE lambda_functions SET {assignments} "
        "WHERE account = :key_a AND region = :key_r AND name = :key_n AND version = :key_v",
        key_a=row["account"],
        key_r=row["region"],
        key_n=row["name"],
        key_v=row["version"],
        **values,
    )


def set_tags(call: Call, row: Row, tags: dict[str, str]) -> None:
    _check_tags(tags)
    _update(call, row, "tags = :tags", tags=_json(tags))


def set_policy(call: Call, row: Row, policy: str) -> str:
    """The answer is the new revision."""
    revision = clock.new_id()
    _update(call, row, "policy = :policy, revision = :revision", policy=policy, revision=revision)
    return revision


def _page(member: str, rows: list[Row], limit: int) -> dict[str, Any]:
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return {
        member: [configuration.described(row) for row in rows[:limit]],
        "NextMarker": f"{last['name']}:{last['version']}" if last else None,
    }


def _number(row: Row) -> int:
    return 0 if row["version"] == LATEST else int(row["version"])


def check_revision(row: Row, revision: str | None) -> None:
    if revision is not None and revision != row["revision"]:
        raise ServiceError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias "
            "API to retrieve the latest Revision Id",
            412,
            Type="User",
        )


def _check_new_name(name: str) -> None:
    if len(name) > names.NAME_CHARACTERS_MAX:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {names.NAME_CHARACTERS_MAX}",
        )


def _check_tags(tags: dict[str, str]) -> None:
    sequences.check_tags(tags)
    if len(tags) > configuration.TAGS_MAX:
        raise invalid(f"A resource can have up to {configuration.TAGS_MAX} tags.")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
