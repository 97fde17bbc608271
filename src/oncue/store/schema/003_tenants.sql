-- Fair lanes: whose an item is ('' for nobody's), and for each tenant with items when the first may be due.
ALTER TABLE backlog ADD COLUMN tenant TEXT;
CREATE INDEX backlog_of_tenants ON backlog (lane, tenant, due_at, id) WHERE tenant IS NOT NULL;
CREATE TABLE backlog_tenants (
    lane TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (lane, name)
);
CREATE INDEX backlog_tenants_due ON backlog_tenants (lane, due_at, name);
