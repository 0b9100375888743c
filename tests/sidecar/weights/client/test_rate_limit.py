"""Rate limits, in every form in which servers announce them."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.client.rate_limit import LONGEST, LOOK, is_exhausted, requested_pause
from urllib3 import HTTPHeaderDict

NOW = 1_800_000_000.0


def date(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


ASKED: dict[str, tuple[dict[str, str], float]] = {
    "seconds": ({"Retry-After": "120"}, 120),
    "seconds with a fraction": ({"Retry-After": "1.5"}, 1.5),
    "seconds twice": ({"Retry-After": "30, 30"}, 30),
    "a date": ({"Retry-After": date(55)}, 55),
    "a date by a clock that is behind": ({"Retry-After": date(-945), "Date": date(-1000)}, 55),
    "a date by a clock that is ahead": ({"Retry-After": date(1055), "Date": date(1000)}, 55),
    "a date that is over": ({"Retry-After": date(-5)}, 0),
    "a date by a clock of 1970": ({"Retry-After": date(55), "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, 55),
    "an old form of a date": ({"Retry-After": time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(NOW + 55))}, 55),
    "a policy": ({"RateLimit": '"resolvers";r=0;t=55'}, 55),
    "a policy with its partition": ({"RateLimit": '"api"; r=0; t=55; pk=:abc=:'}, 55),
    "the policy that is used up": ({"RateLimit": '"day";r=90;t=4000, "minute";r=0;t=30'}, 30),
    "the longest of those that are": ({"RateLimit": '"day";r=0;t=4000, "minute";r=0;t=30'}, 4000),
    "a name that looks like one": ({"RateLimit": r'"a, b;r=0;t=9 \" ";r=0;t=55'}, 55),
    "policies with something left": ({"RateLimit": '"a";r=5;t=55'}, 0),
    "an older policy": ({"RateLimit": "limit=100, remaining=0, reset=50"}, 50),
    "an older one with something left": ({"RateLimit": "limit=100, remaining=3, reset=50"}, 0),
    "headers apart": ({"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "50"}, 50),
    "headers apart with something left": ({"RateLimit-Remaining": "7", "RateLimit-Reset": "50"}, 0),
    "a time": ({"X-RateLimit-Reset": str(int(NOW) + 70)}, 70),
    "a time in milliseconds": ({"X-RateLimit-Reset": str(int(NOW + 70) * 1000)}, 70),
    "a time by another clock": ({"X-RateLimit-Reset": str(int(NOW) + 1070), "Date": date(1000)}, 70),
    "a delta under that name": ({"X-RateLimit-Reset": "70", "X-RateLimit-Remaining": "0"}, 70),
    "another name": ({"X-Rate-Limit-Reset": "70"}, 70),
    "after": ({"X-RateLimit-Reset-After": "1.25"}, 1.25),
    "a time of ISO 8601": ({"X-RateLimit-Reset": "2027-01-15T08:01:10Z"}, 70),
    "a window alone": ({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}, LOOK),
    "a short window alone": ({"RateLimit-Remaining": "0;w=60"}, 60),
    "a window with something left": ({"RateLimit-Remaining": "76;w=21600"}, 0),
    "several": ({"Retry-After": "5", "RateLimit": '"a";r=0;t=55'}, 55),
    "a sign": ({"Retry-After": "+55"}, 55),
    "quotes": ({"Retry-After": '"55"'}, 55),
    "a unit": ({"Retry-After": "55 seconds"}, 55),
    "a duration of Go": ({"X-RateLimit-Reset": "1m30s"}, 90),
    "minutes alone": ({"Retry-After": "2m"}, 120),
    "hours": ({"X-RateLimit-Reset": "1h0m2.5s"}, 3602.5),
    "a part of a second": ({"X-RateLimit-Reset": "500ms"}, 0.5),
    "a duration of ISO 8601": ({"Retry-After": "PT2M"}, 120),
    "a date as asctime writes it": ({"Retry-After": time.asctime(time.gmtime(NOW + 55))}, 55),
    "a time in microseconds": ({"X-RateLimit-Reset": str(int(NOW + 70) * 10**6)}, 70),
    "a time in nanoseconds": ({"X-RateLimit-Reset": str(int(NOW + 70) * 10**9)}, 70),
    "milliseconds": ({"Retry-After-Ms": "1500"}, 1.5),
    "milliseconds of Azure": ({"x-ms-retry-after-ms": "2000"}, 2),
    "seconds by their name": ({"X-Rate-Limit-Retry-After-Seconds": "55"}, 55),
    "nothing": ({}, 0),
}
NONSENSE = ["-5", "1e30", "NaN", "inf", "9" * 400, "soon", "", "0", "²", date(9e8), "0x10", "1;", "Fri, 99 Foo 2027"]


@pytest.mark.parametrize(("headers", "seconds"), ASKED.values(), ids=ASKED.keys())
def test_a_pause_is_read_however_it_is_said(headers: dict[str, str], seconds: float) -> None:
    assert requested_pause(HTTPHeaderDict({name.lower(): value for name, value in headers.items()}), NOW) == seconds


@pytest.mark.parametrize("name", ["Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset"])
@pytest.mark.parametrize(
    "value", [*NONSENSE, *(f'"a";r=0;t={it}' for it in NONSENSE), *(f"reset={it}" for it in NONSENSE)]
)
def test_what_makes_no_sense_asks_for_little_or_nothing(name: str, value: str) -> None:
    assert 0 <= requested_pause({name: value}, NOW) <= 1


@given(
    st.dictionaries(
        st.sampled_from(["Retry-After", "RateLimit", "RateLimit-Reset", "RateLimit-Remaining", "Date"]), st.text()
    )
)
def test_any_header_asks_for_a_day_at_the_most(headers: dict[str, str]) -> None:
    assert 0 <= requested_pause(headers, NOW) <= LONGEST


@pytest.mark.parametrize("unit", ['"', "a=1,", "r=0;t=1,", "1", "\\", '"\\', "a" * 16, " "])
def test_a_hostile_header_costs_little(unit: str) -> None:
    began = time.thread_time()
    requested_pause(
        dict.fromkeys(("Retry-After", "RateLimit", "RateLimit-Remaining", "X-RateLimit-Reset"), unit * 60_000)
    )
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize(
    ("headers", "is_limit"),
    [
        ({"Retry-After": "5"}, True),
        ({"X-RateLimit-Remaining": "0"}, True),
        ({"X-RateLimit-Remaining": "9"}, False),
        ({}, False),
    ],
)
def test_a_refusal_may_be_that_of_a_rate_limit(headers: dict[str, str], is_limit: bool) -> None:
    assert is_exhausted(headers) is is_limit
