"""What the gateway counts. Labels come from the configuration or a fixed list: clients cannot add series.

Counts are plain numbers until somebody asks: prometheus-client's own objects lock and walk their buckets at each event.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

# OTel's buckets for gen_ai.server.request.duration, and two more for cold loads.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
OTHER = "other"


class _Durations:
    """A histogram's series."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        sums, running = [], 0
        for edge, count in zip((*map(str, SECONDS), "+Inf"), self.counts, strict=True):
            running += count
            sums.append((edge, float(running)))
        return sums


class Metrics(Collector):
    """One process's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[tuple[str, str], _Durations] = {}
        self._first: dict[tuple[str, str], _Durations] = {}
        self._aborts = Counter(dict.fromkeys(("connect", "headers", "first_byte", "stream"), 0))
        self._truncated = Counter(dict.fromkeys(("closed", "stalled", "unfinished", "engine_error"), 0))
        self._routed: Counter[str] = Counter()
        self._retries = 0
        self._connect_errors = 0
        self._counters: list[tuple[str, str, Callable[[], int]]] = []
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        Gauge(name, what, registry=self._registry).set_function(read)

    def counter(self, name: str, what: str, read: Callable[[], int]) -> None:
        """A count that somebody else keeps; its name without `_total`."""
        self._counters.append((name, what, read))

    def request(self, operation: str, model: str, code: str, seconds: float) -> None:
        """A request is over; `code` is its HTTP status or what ended it."""
        model = model or OTHER
        self._requests[operation, model, code] += 1
        _add(self._durations, (operation, model), seconds)

    def routed(self, rule: str) -> None:
        """A rule, or `default`, chose the model of a request that left the choice."""
        self._routed[rule] += 1

    def first_byte(self, operation: str, model: str, seconds: float) -> None:
        """The engine has begun to answer."""
        _add(self._first, (operation, model or OTHER), seconds)

    def aborted(self, phase: str) -> None:
        """A client left; `phase` is how far the engine had come."""
        self._aborts[phase] += 1

    def truncated(self, reason: str) -> None:
        """The engine broke off."""
        self._truncated[reason] += 1

    def retried(self) -> None:
        """A kept-alive connection had been closed by the engine."""
        self._retries += 1

    def connect_failed(self) -> None:
        """The engine did not accept a connection."""
        self._connect_errors += 1

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client renders."""
        requests = CounterMetricFamily("larder_requests", "Answered requests.", labels=["operation", "model", "code"])
        for key, count in self._requests.items():
            requests.add_metric(key, count)
        yield requests
        yield _histogram(
            "gen_ai_server_request_duration_seconds",
            "From the first byte of a request to the last byte of its response.",
            ["gen_ai_operation_name", "gen_ai_request_model"],
            self._durations,
        )
        yield _histogram(
            "larder_time_to_first_byte_seconds",
            "From the first byte of a request to the engine's first byte.",
            ["operation", "model"],
            self._first,
        )
        for name, what, label, counts in (
            ("larder_routed_requests", "Requests that left the choice of the model.", "rule", self._routed),
            ("larder_upstream_aborts", "Requests to the engine that a leaving client ended.", "phase", self._aborts),
            ("larder_stream_truncated", "Responses that the engine did not finish.", "reason", self._truncated),
        ):
            family = CounterMetricFamily(name, what, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family
        yield CounterMetricFamily("larder_upstream_retries", "Requests sent again on a new connection.", self._retries)
        yield CounterMetricFamily(
            "larder_upstream_connect_errors", "Failed connections to the engine.", self._connect_errors
        )
        for name, what, read in self._counters:
            yield CounterMetricFamily(name, what, read())


def _add(series: dict[tuple[str, str], _Durations], key: tuple[str, str], seconds: float) -> None:
    durations = series.get(key)
    if durations is None:
        durations = series[key] = _Durations()
    durations.add(seconds)


def _histogram(
    name: str, what: str, labels: list[str], series: dict[tuple[str, str], _Durations]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, what, labels=labels)
    for key, durations in series.items():
        family.add_metric(key, durations.buckets(), durations.total)
    return family
