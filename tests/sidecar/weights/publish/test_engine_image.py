"""A base image from a registry may hold anything: it is read, or refused with a reason."""

import contextlib
import json
from typing import Any

import pytest
from larder_sidecar.weights.errors import ImageError
from larder_sidecar.weights.publish.engine_image import MANIFESTS, config_descriptor, list_platforms, parse_base
from larder_sidecar.weights.publish.layer import LAYER

DIGEST = f"sha256:{'a' * 64}"
LAYER_OF = {"mediaType": LAYER, "digest": DIGEST, "size": 3}
ODD: list[Any] = [
    None,
    0,
    -1,
    10**400,
    True,
    "",
    "x",
    [],
    [[]],
    {},
    [{}],
    ["x"],
    {"os": []},
    "sha256:" + "../" * 21 + "x",
]


def _with(value: dict[str, Any], key: str, odd: Any) -> bytes:
    return json.dumps({**value, key: odd}).encode()


@pytest.mark.parametrize("odd", ODD, ids=[repr(odd)[:20] for odd in ODD])
def test_no_part_of_an_index_or_manifest_can_be_so_odd_that_it_is_not_refused_in_words(odd: Any) -> None:
    index = {"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
    entry = {**LAYER_OF, "platform": {"os": "linux", "architecture": "amd64"}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": LAYER_OF, "layers": [LAYER_OF]}
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [DIGEST]}}
    for key in entry:
        with contextlib.suppress(ImageError):
            list_platforms(_with(index, "manifests", [{**entry, key: odd}]), "base")
    for key in ("mediaType", "manifests"):
        with contextlib.suppress(ImageError):
            list_platforms(_with(index, key, odd), "base")
    for key in LAYER_OF:
        with contextlib.suppress(ImageError):
            config_descriptor(_with(manifest, "config", {**LAYER_OF, key: odd}), "base")
        with contextlib.suppress(ImageError):
            parse_base(None, _with(manifest, "layers", [{**LAYER_OF, key: odd}]), json.dumps(config).encode(), "base")
    for key in config:
        with contextlib.suppress(ImageError):
            parse_base(None, json.dumps(manifest).encode(), _with(config, key, odd), "base")


@pytest.mark.parametrize("digest", ["sha256:" + "../" * 21 + "x", f"sha256:{'A' * 64}", f"sha256:{'a' * 63}?"])
def test_a_digest_that_would_lead_elsewhere_names_nothing(digest: str) -> None:
    manifest = json.dumps({"schemaVersion": 2, "config": {**LAYER_OF, "digest": digest}}).encode()
    with pytest.raises(ImageError):
        config_descriptor(manifest, "base")
