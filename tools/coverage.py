"""Prints docs/coverage.md: what each service offers, read from the signatures of its operations.

Run as `python -m tools.coverage` (`make coverage`); a test checks that the page is true.
"""

import pathlib
import re

from oncue.app import ROOMS
from oncue.protocol import service_model
from oncue.services import declared, snake_case

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "coverage.md"
HEAD = """# What is there

Printed from the signatures by `make coverage`; a test keeps it true. An operation that is not listed as
offered is answered with HTTP 501 and its name; a parameter that is refused is refused by name, never ignored.

"""


def page() -> str:
    parts = [HEAD]
    for service in sorted(ROOMS, key=lambda service: service.name):
        model = service_model(service.name)
        offered = {
            name: method for name in model.operations if (method := getattr(service, snake_case(name), None))
        }
        parts.append(f"## {service.name}: {len(offered)} of {len(model.operations)} operations\n\n")
        parts.append("| operation | parameters that are refused |\n|---|---|\n")
        for name, method in sorted(offered.items()):
            members = model.operations[name].input_shape["members"]
            missing = sorted(members.keys() - declared(method))
            parts.append(f"| {name} | {', '.join(missing) or '–'} |\n")
        absent = sorted(model.operations.keys() - offered.keys())
        if absent:
            parts.append(f"\nNot offered: {', '.join(absent)}.\n")
        parts.append("\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
