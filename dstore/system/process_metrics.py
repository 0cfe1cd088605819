"""What every server process tells Prometheus about itself: memory, CPU, open files, and how late its event loop is."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

from dstore.core.environment import Clock

#: Long enough to cost nothing, short enough that a loop which is blocked again and again is caught.
_INTERVAL_S = 0.25
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ProcessMetrics:
    """Adds ``process_*`` and ``dstore_event_loop_lag_seconds`` to a registry; ``run`` measures the latter."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        ProcessCollector(registry=registry)
        self._lag = Histogram(
            "dstore_event_loop_lag_seconds",
            "How late a timer of the event loop ran, four times a second; while it waits, all calls wait.",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_s = self._clock.monotonic_s() + _INTERVAL_S
            await asyncio.sleep(_INTERVAL_S)
            self._lag.observe(max(0.0, self._clock.monotonic_s() - due_s))
