import pytest
from figure_samples import figure, results

from benchmarks.figures import Figure, Results, Sample, summarize
from benchmarks.workloads import GIB, MIB


def test_results_survive_json() -> None:
    failed = Figure("disk", "names-list", "list", "/s", "ceph", "", "", error="not installed")
    before = results(figure("dstore", 1.5, 2.5), failed)
    assert Results.from_json(before.to_json()) == before


@pytest.mark.parametrize("text", ["{}", '{"format_version": 2}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no results that this version reads"):
        Results.from_json(text)


def test_costs_are_medians_and_peaks_are_the_largest() -> None:
    samples = [
        Sample(100.0, cpu, GIB // 2, 0, MIB, peak * MIB, 2 * peak * MIB) for cpu, peak in ((1, 9), (5, 3), (2, 4))
    ]
    assert summarize(samples) == {
        "runs": (100.0, 100.0, 100.0),
        "cpu_s_per_gib": 4.0,
        "cpu_us_per_operation": None,
        "client_peak_mib": 1.0,
        "server_peak_mib": 9.0,
        "servers_peak_mib": 18.0,
    }


def test_work_on_names_has_no_cost_for_a_gib() -> None:
    fields = summarize([Sample(100.0, 0.5, 0, 1_000, 0, 0, 0)])
    assert fields["cpu_s_per_gib"] is None
    assert fields["cpu_us_per_operation"] == 500.0


def test_nothing_measured_is_no_figure() -> None:
    assert summarize([])["runs"] == ()
    assert summarize([])["server_peak_mib"] is None
