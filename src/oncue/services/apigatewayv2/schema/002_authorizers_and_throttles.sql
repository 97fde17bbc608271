-- Who may come in; frozen into deployments with the routes. A throttle is one limit that nodes have requests for: what
-- each of them is asked for per second, as JSON. Losing a row only lets the nodes begin anew.
CREATE TABLE apigatewayv2_authorizers (
    api_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (api_id, id),
    UNIQUE (api_id, name)
);
CREATE TABLE apigatewayv2_throttles (
    name TEXT PRIMARY KEY,
    nodes TEXT NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL
);
