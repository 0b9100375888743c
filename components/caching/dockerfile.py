"""The Dockerfile of an engine's image with the weights inside, laid out as `larder-sidecar publish --engine` does."""

from larder_sidecar.config.layout import CONFIG_FILE, CONFIG_FOLDER, STORE
from larder_sidecar.config.weights import FIRST_PULL, WeightsPlan

_LAYERS = "/layers"
"""Folder of the builder for files that become layers of their own."""


def dockerfile(plan: WeightsPlan, *, sidecar: str, engine: str) -> str:
    """Fetch the plan by the image `sidecar`, and lay it upon the image `engine`.

    It needs no file beside it and, as every FROM is a digest, says all that decides the image. One layer for each file
    of weights: what changes in one model moves no other.
    """
    files = [file for model in plan.models for file in model.files]
    # Nobody knows the name of a blob whose hash the hub will tell: it stays in the last layer.
    weights = sorted({f"sha256-{file.sha256}" for file in files if file.sha256 != FIRST_PULL})
    fetch = f"larder-sidecar fetch --config {CONFIG_FOLDER}/{CONFIG_FILE}"
    steps = [
        # A build that was cut off goes on where it stopped, and one of other models fetches those it lacks.
        f"{fetch} --root /store",
        f"{fetch} --copy-from /store --root {STORE}",
        f"mkdir {_LAYERS}",
        *(f"mv {STORE}/blobs/{blob} {_LAYERS}/" for blob in weights),
    ]
    lines = [
        # Weights are the same for every platform: they are fetched once, by the builder's own.
        f"FROM --platform=$BUILDPLATFORM {sidecar} AS weights",
        "USER 0",
        f"COPY <<'WEIGHTS' {CONFIG_FOLDER}/{CONFIG_FILE}",
        plan.to_json() + "WEIGHTS",
        "RUN --mount=type=cache,id=larder-weights,target=/store " + " && ".join(steps),
        f"FROM {engine}",
        *(f"COPY --link --from=weights {_LAYERS}/{blob} {STORE}/blobs/{blob}" for blob in weights),
        f"COPY --link --from=weights {STORE} {STORE}",
    ]
    return "\n".join(lines) + "\n"
