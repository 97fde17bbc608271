"""Cross-origin rules of an HTTP API: the preflight answer and the headers of every other reply. Pure.

Source: API Gateway developer guide, "Configure CORS for HTTP APIs": the gateway answers preflight requests
itself and the configuration overrides what the integration says.
"""

from typing import Any

from oncue.services.apigatewayv2.web import WebReply, WebRequest

LIST_MAX = 100
MAX_AGE_S_MIN, MAX_AGE_S_MAX = -1, 86_400


def complaint(rules: dict[str, Any]) -> str | None:
    """What is wrong with a CorsConfiguration, or None."""
    origins = rules.get("AllowOrigins") or []
    if rules.get("AllowCredentials") and "*" in origins:
        return "allowCredentials cannot be true when allowOrigins contains *"
    if not MAX_AGE_S_MIN <= int(rules.get("MaxAge") or 0) <= MAX_AGE_S_MAX:
        return f"maxAge must be between {MAX_AGE_S_MIN} and {MAX_AGE_S_MAX}"
    for name in ("AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders"):
        values = rules.get(name) or []
        if len(values) > LIST_MAX:
            return f"{name[0].lower()}{name[1:]} has more than {LIST_MAX} entries"
        if any(not value or not value.isprintable() for value in values):
            return f"{name[0].lower()}{name[1:]} has an entry that cannot be a header's value"
    return None


def is_preflight(request: WebRequest) -> bool:
    return (
        request.method == "OPTIONS"
        and request.header("origin") is not None
        and request.header("access-control-request-method") is not None
    )


def preflight(rules: dict[str, Any], request: WebRequest) -> WebReply:
    """The gateway's own answer; without permission it carries no CORS headers and the browser refuses."""
    headers = _shared(rules, request)
    if headers:
        for name, header in (("AllowMethods", "methods"), ("AllowHeaders", "headers")):
            if rules.get(name):
                headers.append((f"access-control-allow-{header}", ",".join(rules[name])))
        if rules.get("MaxAge") is not None:
            headers.append(("access-control-max-age", str(rules["MaxAge"])))
    return WebReply(204, headers, b"")


def dress(rules: dict[str, Any], request: WebRequest, reply: WebReply) -> WebReply:
    """The reply with the API's CORS headers in place of the integration's."""
    kept = [(name, value) for name, value in reply.headers if not name.startswith("access-control-")]
    ours = _shared(rules, request)
    if ours and rules.get("ExposeHeaders"):
        ours.append(("access-control-expose-headers", ",".join(rules["ExposeHeaders"])))
    return WebReply(reply.status, kept + ours, reply.body)


def _shared(rules: dict[str, Any], request: WebRequest) -> list[tuple[str, str]]:
    origin = request.header("origin")
    allowed = rules.get("AllowOrigins") or []
    if origin is None or not any(_permits(pattern, origin) for pattern in allowed):
        return []
    anyone = "*" in allowed
    headers = [("access-control-allow-origin", "*" if anyone else origin)]
    if not anyone:
        headers.append(("vary", "origin"))
    if rules.get("AllowCredentials"):
        headers.append(("access-control-allow-credentials", "true"))
    return headers


def _permits(pattern: str, origin: str) -> bool:
    if pattern in ("*", origin):
        return True
    return pattern in ("http://*", "https://*") and origin.startswith(pattern[:-1])
