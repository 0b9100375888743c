"""What every test runs under."""

import gc

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of a property.
settings.register_profile("larder", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("larder")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector what was imported: a tenth of the time of `make test` would go into walking SDK classes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
