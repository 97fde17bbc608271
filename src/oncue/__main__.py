"""`oncue` and `python -m oncue`."""

import sys

from oncue.cli import commands
from oncue.errors import SetupError


def main() -> None:
    try:
        commands(prog_name="oncue")
    except SetupError as error:
        print(f"oncue: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
