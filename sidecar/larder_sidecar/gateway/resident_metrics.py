"""Metrics of residency, collected on each scrape."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..residency.policy import Phase
from ..residency.scheduler import Scheduler


class ResidentMetrics(Collector):
    """The metrics of one engine."""

    def __init__(self, residency: Scheduler) -> None:
        self._residency = residency

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families for prometheus-client."""
        residency, figures = self._residency, self._residency.figures
        loaded = [slot for slot in residency.slots() if slot.phase is Phase.LOADED]
        yield CounterMetricFamily("larder_cache_hits", "Requests whose model was loaded.", figures.hits)
        yield CounterMetricFamily("larder_cache_misses", "Requests that waited for their model.", figures.misses)
        yield GaugeMetricFamily("larder_models_loaded", "Models in the engine's memory.", len(loaded))
        size = sum(slot.size for slot in loaded)
        yield GaugeMetricFamily(
            "larder_models_loaded_bytes", "Memory of the loaded models, in bytes, as the engine reports it.", size
        )
        yield GaugeMetricFamily("larder_queue_depth", "Requests that wait for their model now.", residency.waiting)
        what = "Times the engine's loaded models differed from the gateway's view."
        yield CounterMetricFamily("larder_residency_drifts", what, figures.drifts)
        for name, what, label, counts in (
            ("larder_model_swaps", "Model loads.", "model", {m: one.count for m, one in figures.loads.items()}),
            ("larder_model_load_failures", "Failed model loads.", "model", figures.failures),
            ("larder_evictions", "Model unloads by reason.", "reason", figures.evictions),
        ):
            family = CounterMetricFamily(name, what, labels=[label])
            for value, count in counts.items():
                family.add_metric([str(value)], count)
            yield family
        loads = HistogramMetricFamily(
            "larder_model_load_seconds", "Time to load a model, in seconds.", labels=["model"]
        )
        for model, one in figures.loads.items():
            loads.add_metric([model], one.buckets(), one.total)
        yield loads
        waits = HistogramMetricFamily(
            "larder_queue_wait_seconds", "Time that requests waited for their model, in seconds."
        )
        waits.add_metric([], figures.waits.buckets(), figures.waits.total)
        yield waits
