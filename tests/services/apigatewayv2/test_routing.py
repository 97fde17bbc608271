"""Which route and which stage take a request."""

import pytest

from oncue.services.apigatewayv2.routing import RoutingTable, choose_stage, contradict, parse_route_key


def table(*keys: str) -> RoutingTable:
    return RoutingTable(parse_route_key(key) for key in keys)


GUIDE = table("GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default")


@pytest.mark.parametrize(
    ("method", "path", "key", "variables"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/", "$default", {}),
        ("GET", "", "$default", {}),
    ],
)
def test_the_guide_s_table(method: str, path: str, key: str, variables: dict[str, str]) -> None:
    match = GUIDE.match(method, path)
    assert match is not None
    assert (match.route.key, match.variables) == (key, variables)


@pytest.mark.parametrize(
    ("keys", "method", "path", "chosen"),
    [
        (("ANY /a", "GET /a"), "GET", "/a", "GET /a"),
        (("ANY /a", "GET /a"), "PUT", "/a", "ANY /a"),
        (("GET /{x}/b", "GET /a/{y}"), "GET", "/a/b", "GET /a/{y}"),
        (("GET /{x}", "ANY /a"), "GET", "/a", "ANY /a"),
        (("GET /a/{p+}", "GET /a/b/{p+}"), "GET", "/a/b/c", "GET /a/b/{p+}"),
        (("GET /a/{p+}", "GET /{x}/{y}"), "GET", "/a/b", "GET /{x}/{y}"),
        (("GET /a",), "GET", "/a/", None),
        (("GET /a/",), "GET", "/a/", "GET /a/"),
        (("GET /a/{p+}",), "GET", "/a/", None),
        (("GET /a/{p+}",), "GET", "/a", None),
        (("ANY /{p+}",), "GET", "/", None),
        (("GET /",), "GET", "/", "GET /"),
        (("GET /a/{x}",), "GET", "/a/", None),
        (("GET /A",), "GET", "/a", None),
        (("GET /a%20b",), "GET", "/a%20b", "GET /a%20b"),
        (("GET /a",), "HEAD", "/a", None),
    ],
)
def test_the_more_specific_route_wins(
    keys: tuple[str, ...], method: str, path: str, chosen: str | None
) -> None:
    for order in (keys, keys[::-1]):
        match = table(*order).match(method, path)
        assert (match.route.key if match else None) == chosen


def test_variables_arrive_decoded_but_are_cut_before() -> None:
    match = table("GET /files/{name}/x", "GET /all/{rest+}").match("GET", "/files/a%2Fb%20c/x")
    assert match is not None
    assert match.variables == {"name": "a/b c"}
    match = table("GET /all/{rest+}").match("GET", "/all/a%2Fb/c")
    assert match is not None
    assert match.variables == {"rest": "a/b/c"}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "GET",
        "GET pets",
        "get /pets",
        "TRACE /pets",
        "/pets",
        "$connect",
        "GET /{a+}/b",
        "GET /{a}/{a}",
        "GET /{}",
        "GET /x{a}",
        "GET /a b",
        "GET  /a",
    ],
)
def test_what_is_no_route_key(key: str) -> None:
    with pytest.raises(ValueError):
        parse_route_key(key)


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("GET /orgs/{a}", "GET /orgs/{b}/x", True),
        ("GET /orgs/{a}/{x}", "GET /orgs/{a}/{y}", True),
        ("GET /orgs/{a}", "GET /users/{b}", False),
        ("GET /orgs/{a}", "GET /orgs/{rest+}", False),
        ("GET /orgs/{a}", "PUT /orgs/{b}", False),
        ("GET /orgs/{a}", "GET /orgs/{a}", False),
        ("$default", "GET /{b}", False),
    ],
)
def test_variables_of_two_names_at_one_place(one: str, other: str, conflict: bool) -> None:
    assert contradict(parse_route_key(one), parse_route_key(other)) is conflict
    assert contradict(parse_route_key(other), parse_route_key(one)) is conflict


@pytest.mark.parametrize(
    ("path", "stages", "chosen"),
    [
        ("/prod/pets", {"prod", "$default"}, ("prod", "/pets")),
        ("/prod", {"prod"}, ("prod", "/")),
        ("/prod/", {"prod"}, ("prod", "/")),
        ("/pets", {"prod", "$default"}, ("$default", "/pets")),
        ("/production/pets", {"prod"}, None),
        ("/", {"$default"}, ("$default", "/")),
        ("", {"$default"}, ("$default", "/")),
        ("/", {"prod"}, None),
        ("/x", set(), None),
        ("/%70rod/a%2Fb", {"prod"}, ("prod", "/a%2Fb")),
    ],
)
def test_stage(path: str, stages: set[str], chosen: tuple[str, str] | None) -> None:
    assert choose_stage(path, stages) == chosen
