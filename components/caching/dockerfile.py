"""The Dockerfile of an engine's image with the weights inside, in the layout of `larder-sidecar publish --engine`."""

from larder_sidecar.config.layout import CONFIG_FILE, CONFIG_FOLDER, STORE
from larder_sidecar.config.weights import FIRST_PULL, WeightsPlan

_LAYERS = "/layers"
"""Folder of the builder for files that become layers of their own."""


def dockerfile(plan: WeightsPlan, *, sidecar: str, engine: str) -> str:
    """Return a Dockerfile that fetches the plan with the image `sidecar` and adds it to the image `engine`.

    It needs no further file and, as every FROM is a digest, determines the image. Each file of weights is a layer, so a
    change of one model moves no other.
    """
    files = [file for model in plan.models for file in model.files]
    # A blob whose hash comes from the hub has no known name yet: it stays in the last layer.
    weights = sorted({f"sha256-{file.sha256}" for file in files if file.sha256 != FIRST_PULL})
    fetch = f"larder-sidecar fetch --config {CONFIG_FOLDER}/{CONFIG_FILE}"
    steps = [
        # An interrupted build resumes, and a build of other models fetches only the missing ones.
        f"{fetch} --root /store",
        f"{fetch} --copy-from /store --root {STORE}",
        f"mkdir {_LAYERS}",
        *(f"mv {STORE}/blobs/{blob} {_LAYERS}/" for blob in weights),
    ]
    lines = [
        # Weights are the same for every platform, so the builder's own platform fetches them once.
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
