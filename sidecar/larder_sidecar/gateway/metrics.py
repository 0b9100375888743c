"""What the gateway counts. Labels come from the configuration or a fixed list: clients cannot add series."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# OTel's buckets for gen_ai.server.request.duration, and two more for cold loads.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
OTHER = "other"


class Metrics:
    """One process's counters."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "larder_requests", "Answered requests.", ["operation", "model", "code"], registry=registry
        )
        self._duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its response.",
            ["gen_ai_operation_name", "gen_ai_request_model"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._first = Histogram(
            "larder_time_to_first_byte_seconds",
            "Time from the first byte of a request to the engine's first byte.",
            ["operation", "model"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._aborts = Counter(
            "larder_upstream_aborts",
            "Requests to the engine that a leaving client ended.",
            ["phase"],
            registry=registry,
        )
        self._truncated = Counter(
            "larder_stream_truncated", "Responses that the engine did not finish.", ["reason"], registry=registry
        )
        self._retries = Counter(
            "larder_upstream_retries", "Requests sent again on a new connection.", registry=registry
        )
        self._connect_errors = Counter(
            "larder_upstream_connect_errors", "Connections to the engine that failed.", registry=registry
        )
        self._gauges: list[Gauge] = []
        self._request_series: dict[tuple[str, str, str], Counter] = {}
        self._duration_series: dict[tuple[str, str], Histogram] = {}
        self._first_series: dict[tuple[str, str], Histogram] = {}
        for phase in ("connect", "headers", "first_byte", "stream"):
            self._aborts.labels(phase)
        for reason in ("closed", "stalled", "unfinished", "engine_error"):
            self._truncated.labels(reason)

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        gauge = Gauge(name, what, registry=self._registry)
        gauge.set_function(read)
        self._gauges.append(gauge)

    def request(self, operation: str, model: str, code: str, seconds: float) -> None:
        """A request is over; `code` is its HTTP status or what ended it."""
        model = model or OTHER
        key = (operation, model, code)
        if (requests := self._request_series.get(key)) is None:
            requests = self._request_series[key] = self._requests.labels(*key)
        requests.inc()
        if (duration := self._duration_series.get(key[:2])) is None:
            duration = self._duration_series[key[:2]] = self._duration.labels(*key[:2])
        duration.observe(seconds)

    def first_byte(self, operation: str, model: str, seconds: float) -> None:
        """The engine has begun to answer."""
        key = (operation, model or OTHER)
        if (series := self._first_series.get(key)) is None:
            series = self._first_series[key] = self._first.labels(*key)
        series.observe(seconds)

    def aborted(self, phase: str) -> None:
        """A client left; `phase` is how far the engine had come."""
        self._aborts.labels(phase).inc()

    def truncated(self, reason: str) -> None:
        """The engine broke off."""
        self._truncated.labels(reason).inc()

    def retried(self) -> None:
        """A kept-alive connection had been closed by the engine."""
        self._retries.inc()

    def connect_failed(self) -> None:
        """The engine did not accept a connection."""
        self._connect_errors.inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)
