"""The table: for terminals, and in Markdown; ``python -m benchmarks.table FILE`` prints kept results, shortened."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Results

HEADINGS = (
    "system",
    "median",
    "unit",
    "runs",
    "first",
    "CPU",
    "client MiB",
    "server MiB",
    "all servers MiB",
    "durability",
)


def terminal(results: Results) -> str:
    """Return all figures, one block for each place and workload, the fastest first."""
    return "\n".join([*_conditions(results), "", *_blocks(results.figures)])


def markdown(results: Results) -> str:
    """Return all figures as one Markdown table for each place."""
    lines = []
    for place in places(results.figures):
        lines += [f"**{place}**", "", "| what | " + " | ".join(HEADINGS) + " |", "|---" * (len(HEADINGS) + 1) + "|"]
        for block in blocks(figure for figure in results.figures if figure.place == place):
            for number, figure in enumerate(block):
                cells = (figure.title if number == 0 else "", *row(figure))
                lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def summary(results: Results, place: str) -> str:
    """Return a Markdown table with a column for each system: medians, and the CPU time of client and servers."""
    here = [figure for figure in results.figures if figure.place == place and figure.runs]
    systems = list(dict.fromkeys(figure.system for figure in here))
    lines = ["| | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    for block in blocks(here):
        cells = [f"{block[0].title}, {block[0].unit}"]
        for system in systems:
            own = [figure for figure in block if figure.system == system]
            texts = [f"{number(figure.median)} ({_short_cost(figure)})" for figure in own]
            named = [f"{figure.variant}: {text}" for figure, text in zip(own, texts, strict=True)]
            cells.append("<br>".join(named if len(own) > 1 else texts) or "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short_cost(figure: Figure) -> str:
    if figure.cpu_us_per_operation is not None:
        return f"{number(figure.cpu_us_per_operation)} µs"
    return f"{number(figure.cpu_s_per_gib)} s/GiB"


def places(figures: Iterable[Figure]) -> list[str]:
    """Return where data was, in the order of the figures."""
    return list(dict.fromkeys(figure.place for figure in figures))


def blocks(figures: Iterable[Figure]) -> list[list[Figure]]:
    """Return the figures of each place and workload, the fastest first, what failed last."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        found.setdefault((figure.place, figure.workload), []).append(figure)
    return [sorted(block, key=lambda figure: -figure.median if figure.runs else 1) for block in found.values()]


def row(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a figure, without its title."""
    name = f"{figure.system} {figure.variant}".strip()
    if not figure.runs:
        return (name, "failed", *[""] * (len(HEADINGS) - 3), figure.error or "no run counted")
    return (
        name,
        number(figure.median),
        figure.unit,
        f"{number(min(figure.runs))}–{number(max(figure.runs))}",
        number(figure.first_run),
        cost(figure),
        number(figure.client_peak_mib),
        number(figure.server_peak_mib),
        number(figure.servers_peak_mib),
        figure.durability,
    )


def cost(figure: Figure) -> str:
    """Return the CPU time of client and servers, for a GiB or for an operation."""
    if figure.cpu_us_per_operation is not None:
        per_gib = "" if figure.cpu_s_per_gib is None else f" ({number(figure.cpu_s_per_gib)} s/GiB)"
        return f"{number(figure.cpu_us_per_operation)} µs each{per_gib}"
    return "" if figure.cpu_s_per_gib is None else f"{number(figure.cpu_s_per_gib)} s/GiB"


def number(value: float | None) -> str:
    """Return a number with about three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _conditions(results: Results) -> list[str]:
    commit, machine = results.commit, results.machine
    state = " with changes" if commit.has_changes else ""
    busy = "; THE MACHINE WAS BUSY: believe the CPU time, not the rates" if results.is_busy else ""
    return [
        f"commit {commit.hash[:12]}{state}, {results.started_at}, scale {results.scale}",
        f"{machine.cores} cores of {machine.cpu}, {machine.memory_gib} GiB, Linux {machine.kernel}",
        f"Python {machine.python}, load {results.load_before} before, {results.load_after} after{busy}",
        f"large file {results.large_size_mib} MiB; CPU: client and servers together",
        "first: the round that does not count, with space and connections that nobody had used yet",
        "client MiB: peak beyond the caller's own data; server MiB: peak of the largest server",
    ]


def _blocks(figures: Sequence[Figure]) -> list[str]:
    lines = []
    rows = {figure.key: row(figure) for figure in figures}
    cells = [HEADINGS, *rows.values()]
    # The last column is free: nothing stands behind it.
    widths = [max(len(each[column]) for each in cells) for column in range(len(HEADINGS) - 1)]
    for block in blocks(figures):
        lines += [f"{block[0].place}: {block[0].title}", _aligned(HEADINGS, widths)]
        lines += [_aligned(rows[figure.key], widths) for figure in block]
        lines.append("")
    return lines


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    *most, last = cells
    return "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(most, widths, strict=True)), last]).rstrip()


def main() -> None:
    """Print kept results as short Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=main.__doc__)
    parser.add_argument("file", type=Path, help="what --json or --save wrote")
    results = Results.from_json(parser.parse_args().file.read_text())
    for place in places(results.figures):
        print("\n".join([f"**{place}**", "", summary(results, place), ""]))


if __name__ == "__main__":
    main()
