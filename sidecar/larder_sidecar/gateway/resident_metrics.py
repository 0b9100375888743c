"""Residency in Prometheus' words: read when they are asked for."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..residency.policy import Phase
from ..residency.scheduler import Scheduler


class ResidentMetrics(Collector):
    """Of one engine."""

    def __init__(self, residency: Scheduler) -> None:
        self._residency = residency

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client renders."""
        residency, figures = self._residency, self._residency.figures
        loaded = [place for place in residency.places() if place.phase is Phase.LOADED]
        yield CounterMetricFamily("larder_cache_hits", "Requests whose model was loaded.", figures.hits)
        yield CounterMetricFamily("larder_cache_misses", "Requests that waited for their model.", figures.misses)
        yield GaugeMetricFamily("larder_models_loaded", "Models in the engine's memory.", len(loaded))
        size = sum(place.size for place in loaded)
        yield GaugeMetricFamily("larder_models_loaded_bytes", "What they take, by the engine's own word.", size)
        yield GaugeMetricFamily("larder_queue_depth", "Requests that wait for their models.", residency.waiting)
        what = "Times that the engine held something else than was thought."
        yield CounterMetricFamily("larder_residency_drifts", what, figures.drifts)
        for name, what, label, counts in (
            ("larder_model_swaps", "Loads.", "model", {m: one.count for m, one in figures.loads.items()}),
            ("larder_model_load_failures", "Loads that failed.", "model", figures.failures),
            ("larder_evictions", "Unloads.", "reason", figures.evictions),
        ):
            family = CounterMetricFamily(name, what, labels=[label])
            for value, count in counts.items():
                family.add_metric([str(value)], count)
            yield family
        loads = HistogramMetricFamily("larder_model_load_seconds", "Of a load.", labels=["model"])
        for model, one in figures.loads.items():
            loads.add_metric([model], one.buckets(), one.total)
        yield loads
        waits = HistogramMetricFamily("larder_queue_wait_seconds", "Of requests that waited for their model.")
        waits.add_metric([], figures.waits.buckets(), figures.waits.total)
        yield waits
