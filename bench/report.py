"""Turns the samples of a run into medians, ratios and a Markdown page."""

import statistics
from pathlib import Path

from workloads import Sample

OURS = "Oncue"
BEGIN, END = "<!-- results: written by bench/run.py -->", "<!-- end of results -->"
DETAILS = (("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"), ("cpu_us", "server CPU µs"))


def brief(result: Sample | None, why: str | None) -> str:
    """One measurement for the progress line."""
    return why or "-" if result is None else f"{number(result.value)}"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: list[float]) -> str:
    """median (min–max)"""
    if not values:
        return "-"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def values(samples: list[dict | None], key: str = "value") -> list[float]:
    return [s[key] for s in samples if s is not None and s.get(key) is not None]


def ratios(ours: list[dict | None], theirs: list[dict | None], faster_is: str) -> list[float]:
    """How many times better Oncue is, round by round; only rounds in which both were measured."""
    out = []
    for one, other in zip(ours, theirs, strict=False):
        if one and other and one["value"] and other["value"]:
            ratio = one["value"] / other["value"]
            out.append(1 / ratio if faster_is == "less" else ratio)
    return out


def markdown(results: dict) -> str:
    """The whole results part of a page."""
    names = list(results["peers"])
    parts = [about(results), main_table(results, names), start_table(results, names)]
    parts += [details(results, names), durability(results, names), limits(results)]
    for title, entries in (("Failed checks", results["failures"]), ("Notes", results["notes"])):
        if entries:
            parts.append(f"**{title}**\n\n" + "\n".join(f"- {entry}" for entry in entries))
    return "\n\n".join(part for part in parts if part) + "\n"


def about(results: dict) -> str:
    machine = results["machine"]
    lines = [
        f"Commit `{results['commit']}`, {results['date']}, {machine['cpu']}, {machine['memory']}, "
        f"{machine['disk']}, Linux {machine['kernel']}, Python {machine['python']}. "
        f"{results['rounds']} round(s) of {results['seconds']:g} s, {results.get('took_s', 0):.0f} s in all. "
        f"Server on core {results['cores']['server'][0]}, client on core {results['cores']['client'][0]}.",
        "Other load at the start of each round: " + "; ".join(results["pressure"]) + ".",
        "",
        *(f"- **{name}** {peer['version']}: {peer['durability']}" for name, peer in results["peers"].items()),
        *(f"- **{name}**: not run: {why}" for name, why in results["not_run"].items()),
    ]
    return "\n".join(lines)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main_table(results: dict, names: list[str]) -> str:
    """Rates and times, and how many times better Oncue is."""
    others = [name for name in names if name != OURS] if OURS in names else []
    rows = []
    for workload, of in results["workloads"].items():
        if workload == "start-up":
            continue
        samples = of["samples"]
        row = [f"{workload}, {of['unit']}"]
        row += [of["cannot"].get(n) or spread(values(samples.get(n, []))) for n in names]
        for name in others:
            row.append(ratio_cell(ratios(samples.get(OURS, []), samples.get(name, []), of["faster_is"])))
        rows.append(row)
    if not rows:
        return ""
    note = "\n\nmedian (min–max) of the rounds; *x* = how many times better Oncue is, taken round by round."
    return table(["", *names, *(f"x {name}" for name in others)], rows) + note


def ratio_cell(found: list[float]) -> str:
    return f"**{spread(found)}**" if found else "-"


def start_table(results: dict, names: list[str]) -> str:
    """From the command to the first answer, and memory."""
    of = results["workloads"].get("start-up")
    if not of:
        return ""
    rows = []
    for name in names:
        samples = of["samples"].get(name, [])
        more = [s["more"] for s in samples if s]
        row = [name, spread(values(samples)), spread(values(more, "pss")), spread(values(more, "rss"))]
        rows.append([*row, number(results["peers"][name]["peak_mib"])])
    head = ["", "command → answers, s", "idle, MiB (PSS)", "idle, MiB (sum of RSS)", "peak under load, MiB"]
    return table(head, rows)


def details(results: dict, names: list[str]) -> str:
    """Latency of a request and the server's CPU time for a unit of work."""
    rows = []
    for workload, of in results["workloads"].items():
        for key, title in DETAILS:
            cells = [spread(values(of["samples"].get(name, []), key)) for name in names]
            if any(cell != "-" for cell in cells):
                rows.append([f"{workload}: {title}", *cells])
        more = {key for samples in of["samples"].values() for s in samples if s for key in s["more"]}
        for key in sorted(more if workload != "start-up" else ()):
            cells = []
            for name in names:
                cells.append(spread(values([s and s["more"] for s in of["samples"].get(name, [])], key)))
            rows.append([f"{workload}: {key}", *cells])
    return table(["per request, per unit of work", *names], rows) if rows else ""


def durability(results: dict, names: list[str]) -> str:
    """What SIGKILL left, and how often each server syncs."""
    rows = []
    for name in names:
        peer = results["peers"][name]
        kept = f"{peer['kept']} of {peer['acknowledged']}" if "kept" in peer else "-"
        counted = peer.get("syncs per message", {})
        cells = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in counted.values()] or ["-", "-"]
        rows.append([name, kept, *cells])
    head = ["", "acknowledged messages kept after `kill -9`", "fsyncs per send, c=1", "c=32"]
    return table(head, rows)


def limits(results: dict) -> str:
    rows = [[what, spread(found)] for what, found in results["limits"].items()]
    return table(["the machine itself", ""], rows) if rows else ""


def write(page: Path, text: str) -> None:
    """Replace the results part of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    assert rest, f"{page} has no line {BEGIN}"
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
