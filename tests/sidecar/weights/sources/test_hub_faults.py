"""Faults of the hub: the reason is named, nothing unverified is placed, and the download resumes if it can."""

import json
import time
from dataclasses import dataclass

import pytest
from larder_sidecar.weights.client.headers import parse_size
from larder_sidecar.weights.errors import (
    ContentError,
    DeniedError,
    FetchError,
    HubError,
    NotFoundError,
    RedirectError,
    RevisionError,
    StallError,
    TransientError,
)
from larder_sidecar.weights.retry import Patience

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import BIG, IMPATIENT, PATIENCE, Kitchen


@dataclass(frozen=True)
class Case:
    faults: Faults
    error: type[FetchError]
    says: str
    kept: int = 0
    """Bytes of the part that the next run resumes."""
    patience: Patience = PATIENCE


CUT = 1_000_000
CASES = {
    "private or wrong repository": Case(Faults(refuse=(401, "RepoNotFound")), DeniedError, "HF_TOKEN"),
    "gated": Case(Faults(refuse=(403, "GatedRepo")), DeniedError, "Accept its terms"),
    "no repository": Case(Faults(refuse=(404, "RepoNotFound")), NotFoundError, "no such repository"),
    "no revision": Case(Faults(refuse=(404, "RevisionNotFound")), NotFoundError, "no revision"),
    "no file": Case(Faults(refuse=(404, "EntryNotFound")), NotFoundError, "case-sensitive"),
    "gone": Case(Faults(refuse=(410, None)), HubError, "410"),
    "always busy": Case(Faults(refuse=(503, None)), TransientError, "503"),
    "moved commit": Case(Faults(wrong_commit="f" * 40), RevisionError, "f" * 40),
    "short file": Case(Faults(short_by=10), ContentError, f"sends {BIG - 10} bytes, the plan says {BIG}"),
    "garbage of the same size": Case(Faults(garbage=True), ContentError, "the content has sha256"),
    "cut before progress": Case(Faults(cut_after=0), TransientError, "connection lost"),
    "silence": Case(Faults(stall_after=CUT), StallError, "no bytes came", kept=CUT, patience=IMPATIENT),
    "trickle": Case(Faults(stall_after=CUT, trickle=True), StallError, "fewer than", patience=IMPATIENT),
    "redirect to nonsense": Case(Faults(redirect="http://[nonsense"), RedirectError, "invalid URL"),
    "redirect to another scheme": Case(Faults(redirect="file://"), RedirectError, "not http or https"),
    "redirect to a host that is no name": Case(Faults(redirect=f"http://{'a' * 70}.test"), TransientError, "a{70}"),
    "a commit that is no text": Case(Faults(wrong_commit="\x1b[31m"), RevisionError, r"commit \[31m"),
    "endless redirects": Case(Faults(redirect=""), RedirectError, "more than 5 times"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_fault_is_named_and_nothing_of_the_model_is_visible(kitchen: Kitchen, case: Case) -> None:
    it = kitchen.publish(size=BIG)
    with pytest.raises(case.error, match=case.says) as caught:
        kitchen.fetch(kitchen.plan(kitchen.hub(case.faults)), patience=case.patience)

    assert kitchen.models() == set()
    assert list((kitchen.root / "blobs").iterdir()) == []
    assert "\n" not in str(caught.value)
    assert caught.value.remedy

    healthy = kitchen.hub()
    summary = kitchen.fetch(kitchen.plan(healthy))
    assert kitchen.models() == {"tiny:latest"}
    if case.says != "fewer than":  # How many bytes trickled in is a matter of time.
        assert summary.fetched_bytes == it.bytes - case.kept
        # The hub counts after it has sent, which may be a moment after we have read.
        deadline = time.monotonic() + 5
        while sum(healthy.stats.bytes.values()) < it.bytes - case.kept and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sum(healthy.stats.bytes.values()) == it.bytes - case.kept


HARMLESS = {
    "cut three times": (Faults(cut_after=800_000, cuts=3), 0),
    "busy twice": (Faults(busy=2), 0),
    "no ranges": (Faults(cut_after=800_000, cuts=1, no_ranges=True), 800_000),
    "no metadata": (Faults(metadata_redirect="http://127.0.0.1:1"), 0),
    "no hash in the metadata": (Faults(no_linked_etag=True, cut_after=800_000, cuts=1), 0),
}


@pytest.mark.parametrize(("faults", "again"), HARMLESS.values(), ids=HARMLESS.keys())
def test_a_passing_fault_costs_no_more_than_it_must(kitchen: Kitchen, faults: Faults, again: int) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub(faults)
    assert kitchen.fetch(kitchen.plan(hub)).fetched_bytes == it.bytes + again
    assert sum(hub.stats.bytes.values()) == it.bytes + again
    assert kitchen.models() == {"tiny:latest"}


def test_a_part_under_another_etag_is_not_continued(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    with pytest.raises(StallError):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(stall_after=CUT, etag="old"))), patience=IMPATIENT)
    assert kitchen.fetch(kitchen.plan(kitchen.hub(Faults(etag="new")))).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}


def test_a_damaged_part_costs_one_fresh_start(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    with pytest.raises(StallError):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(stall_after=CUT))), patience=IMPATIENT)
    part = kitchen.root / ".larder/parts" / it.sha256
    part.write_bytes(bytes(CUT))

    assert kitchen.fetch(kitchen.plan(kitchen.hub())).fetched_bytes == it.bytes - CUT + it.bytes
    assert kitchen.models() == {"tiny:latest"}
    assert "restarted" in kitchen.events()


def test_a_wrong_hash_is_not_resumed(kitchen: Kitchen) -> None:
    kitchen.publish(size=BIG)
    with pytest.raises(ContentError):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(garbage=True))))
    assert list((kitchen.root / ".larder/parts").iterdir()) == []


@pytest.mark.parametrize("changes", [{"bytes": BIG - 1}, {"sha256": "0" * 64}], ids=["size", "hash"])
def test_a_plan_that_differs_from_the_metadata_fetches_no_byte(kitchen: Kitchen, changes: dict[str, str | int]) -> None:
    kitchen.publish(size=BIG)
    hub = kitchen.hub()
    with pytest.raises(ContentError, match="the plan says"):
        kitchen.fetch(kitchen.plan(hub, **changes))
    assert hub.stats.bytes == {}


ENDLESS = "9" * 5000
"""Digits; more than Python turns into a number."""


@pytest.mark.parametrize("etag", [1, "a\r\nHost: evil", "…"])
def test_a_note_that_no_hub_can_have_sent_is_not_sent_to_one(kitchen: Kitchen, etag: object) -> None:
    it = kitchen.publish(size=BIG)
    parts = kitchen.root / ".larder/parts"
    parts.mkdir(parents=True)
    (parts / it.sha256).write_bytes(b"GGUF")
    (parts / f"{it.sha256}.json").write_text(json.dumps({"etag": etag}))
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("", None), ("-1", None), ("²", None), (ENDLESS, None)])
def test_a_number_of_the_hub_is_one_or_is_none(text: str, number: int | None) -> None:
    assert parse_size(text) == number


def test_a_dead_hub_is_tried_a_few_times_and_named(kitchen: Kitchen) -> None:
    kitchen.publish()
    with pytest.raises(TransientError, match=r"http://127.0.0.1:1/.*cannot connect"):
        kitchen.fetch(kitchen.plan("http://127.0.0.1:1"))
    assert kitchen.events().count("retry") == PATIENCE.failures - 1


def test_the_token_opens_a_private_repository(kitchen: Kitchen) -> None:
    kitchen.publish()
    hub = kitchen.hub(token="hf_right")
    for wrong in (None, "hf_wrong"):
        with pytest.raises(DeniedError) as caught:
            kitchen.fetch(kitchen.plan(hub), token=wrong)
        assert "hf_wrong" not in str(caught.value)
    kitchen.fetch(kitchen.plan(hub), token="hf_right")
    assert "hf_right" not in kitchen.log.getvalue()


def test_the_cdn_gets_the_request_but_not_the_token(kitchen: Kitchen) -> None:
    kitchen.publish()
    cdn = kitchen.hub()
    hub = kitchen.hub(Faults(redirect=cdn.url), token="hf_right")
    kitchen.fetch(kitchen.plan(hub), token="hf_right")
    assert kitchen.models() == {"tiny:latest"}
    assert [line.split()[0] for line in hub.stats.log] == ["HEAD", "GET"]
    assert all(line.endswith(" token") for line in hub.stats.log)
    assert [line.rsplit(" ", 1)[1] for line in cdn.stats.log] == ["-"]
