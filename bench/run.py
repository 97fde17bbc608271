"""Rates and latencies of Oncue beside its peers, all in one run: `make bench`, or `bench/run.py --help`."""

import argparse
import json
import sys
import time
from pathlib import Path

from install import PEERS, enter, npm_peers

ROUNDS = 3
SECONDS = 1.0
BUDGET_S = 300.0
RESULTS = PEERS / "results.json"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement, %(default)s")
    parser.add_argument(
        "--budget",
        type=float,
        default=BUDGET_S,
        help="seconds after which no measurement begins, %(default)s",
    )
    parser.add_argument("--only", help="workloads whose name contains one of these, comma separated")
    parser.add_argument("--peers", help="servers to run, comma separated")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--write", type=Path, help="a Markdown page whose results part is replaced")
    parser.add_argument("--from", dest="source", type=Path, help="print earlier results, measure nothing")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    if chosen.source:
        show(json.loads(chosen.source.read_text()), chosen.write)
        return
    if sys.platform != "linux":
        sys.exit("bench/run.py freezes, pins and reads processes as only Linux can; it does not run here")
    begun = time.perf_counter()
    missing = {}
    enter()
    if reason := npm_peers():
        missing["fauxqs"] = reason
    import uvloop
    from phases import Session

    session = Session(chosen, missing)
    results = uvloop.run(session.run())
    results["took_s"] = round(time.perf_counter() - begun, 1)
    chosen.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    show(results, chosen.write)
    print(f"\nresults: {chosen.json}")
    if results["failures"]:
        sys.exit(1)


def show(results: dict, page: Path | None) -> None:
    import report

    text = report.markdown(results)
    print("\n" + text)
    if page:
        report.write(page, text)


if __name__ == "__main__":
    main()
