"""HTTP proxy integrations: another server is asked, and its answer becomes the reply."""

import logging
import re
from typing import Any
from urllib.parse import quote

from oncue import outgoing
from oncue.services.apigatewayv2 import payloads
from oncue.services.apigatewayv2.payloads import Visit
from oncue.services.apigatewayv2.web import WebReply, said

VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}|\{([A-Za-z0-9_.:-]+)\+?\}")
LOG = logging.getLogger(__name__)


async def answer(integration: dict[str, Any], visit: Visit) -> WebReply:
    """503 when the server cannot be reached or is late, as on AWS."""
    request = visit.request
    method = integration["IntegrationMethod"]
    url = target(integration["IntegrationUri"], visit)
    headers = [(name, value) for name, value in request.headers if name not in payloads.HOP_BY_HOP]
    headers.append(
        ("forwarded", f"for={request.source_ip};host={request.host};proto={_scheme(request.headers)}")
    )
    headers = [pair for pair in headers if pair[0] != "host"]
    try:
        found = await outgoing.ask(
            request.method if method == "ANY" else method,
            url,
            headers,
            request.body,
            timeout_s=integration["TimeoutInMillis"] / 1000,
        )
    except outgoing.Unreachable as error:
        LOG.warning("%s could not be asked for %s: %s", url, visit.route_key, error)
        return said(503, "Service Unavailable")
    kept = [(name, value) for name, value in found.headers if name not in payloads.HOP_BY_HOP]
    return WebReply(found.status, kept, found.body)


def target(uri: str, visit: Visit) -> str:
    """The address with the path variables of this request in it, and the request's query after its own."""

    def filled(found: re.Match[str]) -> str:
        if found[1]:
            return visit.stage_variables.get(found[1], "")
        return quote(visit.variables.get(found[2], ""), safe="/:@!$&'()*+,;=-._~")

    url = VARIABLE.sub(filled, uri)
    if not visit.request.query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{visit.request.query}"


def _scheme(headers: list[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name == "x-forwarded-proto"), "http")
