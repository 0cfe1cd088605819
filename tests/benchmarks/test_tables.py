from dataclasses import replace

import pytest
from figure_samples import figure, results

from benchmarks import table
from benchmarks.figures import Figure


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.00"), (9.994, "9.99"), (10.0, "10.0"), (99.94, "99.9"), (100.0, "100"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits_that_count(value: float | None, text: str) -> None:
    assert table.number(value) == text


def test_the_fastest_is_first_and_what_failed_is_last() -> None:
    failed = replace(figure("ceph"), error="not installed")
    block = table.blocks([failed, figure("seaweedfs", 60.0, 62.0, 61.0), figure("dstore", 270.0, 281.0, 290.0)])
    assert [[each.system for each in figures] for figures in block] == [["dstore", "seaweedfs", "ceph"]]


def test_a_row_names_the_durability_and_the_spread() -> None:
    cells = table.row(replace(figure("dstore", 270.0, 281.0, 290.0), cpu_s_per_gib=6.9, client_peak_mib=133.0))
    assert cells == ("dstore synced", "281", "MiB/s", "270–290", "", "6.90 s/GiB", "133", "", "", "fsync")


def test_a_row_of_operations_has_both_costs() -> None:
    assert table.cost(replace(figure("dstore", 1.0), cpu_us_per_operation=250.0, cpu_s_per_gib=262.1)) == (
        "250 µs each (262 s/GiB)"
    )


def test_a_failure_says_why() -> None:
    cells = table.row(replace(figure("ceph"), error="not installed"))
    assert (cells[1], cells[-1]) == ("failed", "not installed")


def test_the_terminal_shows_the_conditions_and_every_figure() -> None:
    text = table.terminal(results(figure("dstore", 281.0), figure("seaweedfs", 61.0), has_changes=True))
    assert "commit aaaaaaaaaaaa with changes" in text
    assert "2 cores of a processor" in text
    assert "load 0.1 before, 2.0 after" in text
    assert text.index("dstore synced") < text.index("seaweedfs synced")


def test_figures_of_a_busy_machine_say_so() -> None:
    assert "MACHINE WAS BUSY" in table.terminal(results(figure("dstore", 281.0), load=1.1))
    assert "MACHINE WAS BUSY" not in table.terminal(results(figure("dstore", 281.0), load=1.0))


def test_a_summary_has_a_column_for_each_system() -> None:
    kept = results(
        replace(figure("dstore", 281.0), cpu_s_per_gib=6.9),
        replace(figure("seaweedfs", 61.0), cpu_s_per_gib=22.0),
        replace(figure("seaweedfs", 60.0, variant="cached"), cpu_s_per_gib=21.0),
        replace(figure("dstore", 12_000.0, workload="put-many"), cpu_us_per_operation=115.0),
        replace(figure("ceph"), error="not installed"),
    )
    assert table.summary(kept, "tmpfs").splitlines() == [
        "| | dstore | seaweedfs |",
        "|---|---|---|",
        "| write one file, MiB/s | 281 (6.90 s/GiB) | synced: 61.0 (22.0 s/GiB)<br>cached: 60.0 (21.0 s/GiB) |",
        "| write one file, MiB/s | 12,000 (115 µs) | – |",
    ]


def test_markdown_has_a_table_for_each_place_with_cells_of_one_width() -> None:
    disk = Figure("disk", "write-large", "write one file", "MiB/s", "dstore", "synced", "fsync", runs=(90.0,))
    lines = table.markdown(results(figure("dstore", 281.0), disk)).splitlines()
    assert [line for line in lines if line.startswith("**")] == ["**tmpfs**", "**disk**"]
    assert {line.count("|") for line in lines if line.startswith("|")} == {len(table.HEADINGS) + 2}
