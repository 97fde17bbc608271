-- IAM is global: nothing here knows a region. `folded` is the name in small letters: names differ by more than case.
CREATE TABLE iam_roles (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    id TEXT NOT NULL,
    path TEXT NOT NULL,
    trust TEXT NOT NULL,
    description TEXT,
    max_session_s INTEGER NOT NULL,
    boundary TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, name),
    UNIQUE (account, folded)
);
CREATE TABLE iam_role_policies (
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, role, name)
);
CREATE TABLE iam_attachments (
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    policy_arn TEXT NOT NULL,
    PRIMARY KEY (account, role, policy_arn)
);
CREATE INDEX iam_attachments_of_policy ON iam_attachments (account, policy_arn);
CREATE TABLE iam_policies (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    id TEXT NOT NULL,
    path TEXT NOT NULL,
    description TEXT,
    default_version INTEGER NOT NULL,
    last_version INTEGER NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, name),
    UNIQUE (account, folded)
);
CREATE TABLE iam_policy_versions (
    account TEXT NOT NULL,
    policy TEXT NOT NULL,
    number INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, policy, number)
);
CREATE TABLE iam_tags (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    folded TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (account, kind, owner, folded)
);
