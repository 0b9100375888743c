"""The metrics of one gateway. Labels come from the configuration or a fixed list: clients cannot add series.

Counts are plain numbers until a scrape.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..durations import Durations
from ..http.headers import printable

OTHER = "other"


class Metrics(Collector):
    """One process's counters."""

    def __init__(self) -> None:
        self._collectors: list[Collector] = [ProcessCollector(registry=None)]
        self._failed = 0
        """Groups of metrics that failed to render."""
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[tuple[str, str], Durations] = {}
        self._first: dict[tuple[str, str], Durations] = {}
        self._aborts = Counter(dict.fromkeys(("connect", "headers", "first_byte", "stream"), 0))
        self._truncated = Counter(dict.fromkeys(("closed", "stalled", "unfinished", "engine_error"), 0))
        self.rules_hit: Counter[str] = Counter()
        """Requests that left the choice of the model, by the rule that chose."""
        self._retries = 0
        self._connect_errors = 0
        self._counters: list[tuple[str, str, Callable[[], int]]] = []

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Add a gauge, which is read on each scrape."""
        figure = Gauge(name, what, registry=None)
        figure.set_function(read)
        self._collectors.append(figure)

    def counter(self, name: str, what: str, read: Callable[[], int]) -> None:
        """Add a counter that is kept elsewhere; its name without `_total`."""
        self._counters.append((name, what, read))

    def also(self, collector: Collector) -> None:
        """Add a collector."""
        self._collectors.append(collector)

    def request(self, operation: str, model: str, code: str, seconds: float) -> None:
        """Count a finished request; `code` is its HTTP status or the error that ended it."""
        model = model or OTHER
        self._requests[operation, model, code] += 1
        _add(self._durations, (operation, model), seconds)

    def routed(self, rule: str) -> None:
        """Count a request whose model a rule, or `default`, chose."""
        self.rules_hit[rule] += 1

    def first_byte(self, operation: str, model: str, seconds: float) -> None:
        """Observe the time to the engine's first byte."""
        _add(self._first, (operation, model or OTHER), seconds)

    def aborted(self, phase: str) -> None:
        """Count a client that left; `phase` is the progress of the engine."""
        self._aborts[phase] += 1

    def truncated(self, reason: str) -> None:
        """Count a response that the engine broke off."""
        self._truncated[reason] += 1

    def retried(self) -> None:
        """Count a request sent again on a new connection: it was lost or turned away before its answer."""
        self._retries += 1

    def connect_failed(self) -> None:
        """Count a connection that the engine did not accept."""
        self._connect_errors += 1

    def text(self) -> bytes:
        """Return everything in Prometheus' text format. A group that fails to render does not affect the others."""
        out = []
        for collector in (*self._collectors, self):  # our own last, so that they count the others' failures
            try:
                out += [_text(family) for family in collector.collect()]
            except Exception:  # noqa: BLE001 (any error of a collector)
                self._failed += 1
        return b"".join(out)

    def collect(self) -> Iterator[Metric]:
        """Yield the families that prometheus-client renders."""
        requests = CounterMetricFamily("larder_requests", "Answered requests.", labels=["operation", "model", "code"])
        for key, count in self._requests.items():
            requests.add_metric(key, count)
        yield requests
        yield _histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its response, in seconds.",
            ["gen_ai_operation_name", "gen_ai_request_model"],
            self._durations,
        )
        yield _histogram(
            "larder_time_to_first_byte_seconds",
            "Time from the first byte of a request to the first byte of the engine, in seconds.",
            ["operation", "model"],
            self._first,
        )
        for name, what, label, counts in (
            ("larder_routed_requests", "Requests whose model was chosen by a rule.", "rule", self.rules_hit),
            (
                "larder_upstream_aborts",
                "Upstream requests cancelled because the client disconnected.",
                "phase",
                self._aborts,
            ),
            (
                "larder_stream_truncated",
                "Responses that the engine did not finish, by reason.",
                "reason",
                self._truncated,
            ),
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
        yield CounterMetricFamily("larder_metrics_failed", "Groups of metrics that failed to render.", self._failed)


class _One(Collector):
    """A collector of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        """Yield the families that prometheus-client renders."""
        yield self._family


def _text(family: Metric) -> bytes:
    try:
        return generate_latest(_One(family))
    except UnicodeEncodeError:  # a file's name that is no UTF-8, as Python has it
        family.samples = [
            sample._replace(labels={name: printable(value) for name, value in sample.labels.items()})
            for sample in family.samples
        ]
        return generate_latest(_One(family))


def _add(series: dict[tuple[str, str], Durations], key: tuple[str, str], seconds: float) -> None:
    durations = series.get(key)
    if durations is None:
        durations = series[key] = Durations()
    durations.add(seconds)


def _histogram(
    name: str, what: str, labels: list[str], series: dict[tuple[str, str], Durations]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, what, labels=labels)
    for key, durations in series.items():
        family.add_metric(key, durations.buckets(), durations.total)
    return family
