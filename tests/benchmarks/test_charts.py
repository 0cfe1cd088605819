from dataclasses import replace

from figure_samples import figure, results

from benchmarks import chart


def test_headlines_are_in_one_order_with_dstore_first() -> None:
    kept = results(
        figure("bare grpc", 330.0, variant="files"),
        figure("seaweedfs", 60.0),
        figure("dstore", 281.0),
        figure("dstore", 9_000.0, workload="put-many"),
        figure("dstore", 700.0, workload="read-large", variant="grpc"),
    )
    panels = chart.headlines(kept, "tmpfs")
    assert [panel[0].workload for panel in panels] == ["write-large", "read-large", "put-many"]
    assert [each.system for each in panels[0]] == ["dstore", "seaweedfs", "bare grpc"]


def test_what_failed_and_the_raw_machine_are_left_out() -> None:
    failed = replace(figure("ceph"), error="not installed")
    assert chart.headlines(results(failed, figure("raw", 2_000.0, variant="disk")), "tmpfs") == []


def test_other_places_are_left_out() -> None:
    assert chart.headlines(results(figure("dstore", 281.0)), "disk") == []
