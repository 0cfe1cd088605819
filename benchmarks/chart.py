"""The chart for the README: the headlines, each system as a bar; needs matplotlib, which ``make bench`` installs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Results
from benchmarks.table import number

HEADLINES = (
    "write-large",
    "read-large",
    "write-small-16",
    "read-small-16",
    "put-many",
    "get-many",
    "read-64k-ranges",
    "names-stat",
    "recovery",
)
#: A machine by itself is so much faster that beside it nothing else could be seen; the table has it.
COLOURS = {"dstore": "#2a6f97", "seaweedfs": "#6a994e", "ceph": "#bc4749", "bare grpc": "#adb5bd"}
_COLUMNS = 3
_BARS_MIN = 4


def headlines(results: Results, place: str) -> list[list[Figure]]:
    """Return, for each headline that was measured at this place, its figures in the order of ``COLOURS``."""
    found = []
    order = list(COLOURS)
    for name in HEADLINES:
        block = [
            figure
            for figure in results.figures
            if figure.runs and figure.system in COLOURS and (figure.place, figure.workload) == (place, name)
        ]
        if block:
            found.append(sorted(block, key=lambda figure: (order.index(figure.system), figure.variant)))
    return found


def draw(results: Results, place: str, path: Path) -> None:
    """Write the chart as a PNG.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no headline was measured at this place.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = headlines(results, place)
    if not panels:
        raise ValueError(f"No headline was measured on {place}.")
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, _COLUMNS, figsize=(13, 2.5 * rows + 0.7), layout="constrained", squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index < len(panels):
            _panel(axis, panels[index])
        else:
            axis.axis("off")
    figure.suptitle(
        f"Three copies on three servers, everything on {results.machine.cores} cores, data on {place}; "
        f"dstore encrypts, the others do not (medians, higher is better)"
        + ("; THE MACHINE WAS BUSY" if results.is_busy else ""),
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, figures: Sequence[Figure]) -> None:
    names = [f"{figure.system} {figure.variant}" for figure in figures]
    medians = [figure.median for figure in figures]
    bars = axis.barh(names, medians, color=[COLOURS[figure.system] for figure in figures])
    axis.bar_label(bars, labels=[number(median) for median in medians], padding=3, fontsize=8)
    # From the top, and with bars of one thickness, however few there are.
    axis.set_ylim(max(len(names), _BARS_MIN) - 0.5, -0.5)
    axis.set_title(f"{figures[0].title} [{figures[0].unit}]", fontsize=9, loc="left")
    axis.set_xlim(0, max(medians) * 1.2)
    axis.tick_params(labelsize=8)
    axis.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
