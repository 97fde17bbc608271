-- Parameters and their versions. `tags` is a JSON object; `version` is the newest one.
CREATE TABLE ssm_parameters (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
);
CREATE TABLE ssm_versions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    tier TEXT NOT NULL,
    description TEXT,
    modified_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, region, name, version)
);
