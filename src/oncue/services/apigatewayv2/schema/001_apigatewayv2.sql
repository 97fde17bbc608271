-- HTTP APIs. `members` is what the API says of itself, as JSON; `content` of a deployment is what it serves: routes and
-- integrations as they were, never changed afterwards. An API's id is its host name, so it is unique everywhere.
CREATE TABLE apigatewayv2_apis (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    members TEXT NOT NULL
);
CREATE INDEX apigatewayv2_apis_of_owner ON apigatewayv2_apis (account, region, id);
CREATE TABLE apigatewayv2_integrations (
    api_id TEXT NOT NULL,
    id TEXT NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (api_id, id)
);
CREATE TABLE apigatewayv2_routes (
    api_id TEXT NOT NULL,
    id TEXT NOT NULL,
    route_key TEXT NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (api_id, id),
    UNIQUE (api_id, route_key)
);
CREATE TABLE apigatewayv2_stages (
    api_id TEXT NOT NULL,
    name TEXT NOT NULL,
    auto_deploy INTEGER NOT NULL,
    deployment_id TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (api_id, name)
);
CREATE TABLE apigatewayv2_deployments (
    api_id TEXT NOT NULL,
    id TEXT NOT NULL,
    automatic INTEGER NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    members TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (api_id, id)
);
