"""Figures and results to test with."""

from benchmarks.figures import Commit, Figure, Machine, Results


def figure(system: str = "dstore", *runs: float, variant: str = "synced", workload: str = "write-large") -> Figure:
    """A figure on tmpfs with these runs."""
    return Figure("tmpfs", workload, "write one file", "MiB/s", system, variant, "fsync", runs=runs)


def results(
    *figures: Figure,
    commit: str = "a" * 40,
    day: int = 1,
    scale: str = "full",
    cores: int = 2,
    has_changes: bool = False,
    load: float = 0.1,
) -> Results:
    """Results of a commit of this day."""
    return Results(
        commit=Commit(commit, f"2030-01-{day:02}T12:00:00+00:00", has_changes),
        machine=Machine("a processor", cores, 24, "6.1", "3.11.7"),
        scale=scale,
        large_size_mib=1024,
        started_at="2030-02-01T00:00:00+00:00",
        load_before=load,
        load_after=2.0,
        figures=figures,
    )
