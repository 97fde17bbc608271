"""The resource types that a template can use, each by its operations in the service that owns it."""

from oncue.services.cloudformation.kinds import Kind
from oncue.services.cloudformation.resources import functions, http_apis, log_groups, queues, roles, tables

KINDS: dict[str, Kind] = {
    kind.type: kind
    for module in (queues, tables, functions, roles, log_groups, http_apis)
    for kind in module.KINDS
}
