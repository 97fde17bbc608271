-- A row for each version; `$LATEST` carries what belongs to the function as a whole (tags, policy, reserved,
-- published: the number of the newest published version).
CREATE TABLE lambda_functions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    revision TEXT NOT NULL,
    settings TEXT NOT NULL,
    code_sha256 TEXT NOT NULL,
    code_bytes BIGINT NOT NULL,
    modified_at DOUBLE PRECISION NOT NULL,
    tags TEXT NOT NULL,
    policy TEXT NOT NULL,
    reserved INTEGER,
    published INTEGER NOT NULL,
    PRIMARY KEY (account, region, name, version)
);
CREATE TABLE lambda_mappings (
    uuid TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    source_arn TEXT NOT NULL,
    function_name TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    revision TEXT NOT NULL,
    settings TEXT NOT NULL,
    modified_at DOUBLE PRECISION NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (account, region, source_arn, function_name, qualifier)
);
CREATE INDEX lambda_mappings_enabled ON lambda_mappings (uuid) WHERE enabled = 1;
