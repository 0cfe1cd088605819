"""What a process tells about itself."""

import asyncio

from prometheus_client import CollectorRegistry

from dstore.system.process_metrics import ProcessMetrics


class LateClock:
    """Tells times as if every timer ran three seconds late."""

    def __init__(self) -> None:
        self._looks = 0
        self.looked_often = asyncio.Event()

    def monotonic_s(self) -> float:
        self._looks += 1
        if self._looks >= 4:
            self.looked_often.set()
        # Every second look follows a timer: its interval has passed, and three seconds more.
        return (self._looks // 2) * 3.25

    def wall_ns(self) -> int:
        return 0


async def test_the_lag_is_by_how_much_timers_are_late() -> None:
    registry, clock = CollectorRegistry(), LateClock()
    metrics = ProcessMetrics(registry, clock)
    running = asyncio.create_task(metrics.run())
    await clock.looked_often.wait()
    running.cancel()
    await asyncio.wait([running])
    name = "dstore_event_loop_lag_seconds"
    count = registry.get_sample_value(f"{name}_count")
    assert count is not None and count >= 2
    assert registry.get_sample_value(f"{name}_sum") == 3.0 * count
    assert registry.get_sample_value(f"{name}_bucket", {"le": "2.5"}) == 0
    assert registry.get_sample_value("process_resident_memory_bytes")
