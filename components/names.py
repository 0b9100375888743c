"""Names and constants that the plan and the components share."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

FRONT = "front"
"""Name of the gateways in front of all stacks."""
INFERENCE_SERVICE = "active-llm"
"""Name of the one InferenceService, which serves the active model."""
INFERENCE_ANNOTATIONS = {
    "serving.kserve.io/deploymentMode": "Standard",
    # Otherwise KServe makes an autoscaler even for at most one replica.
    "serving.kserve.io/autoscalerClass": "none",
}
ONE_AT_A_TIME: Mapping[str, JsonValue] = {
    "minReplicas": 1,
    "maxReplicas": 1,
    # A GPU holds one model: with a surge, the next pod would wait forever for the GPU of the old one.
    "deploymentStrategy": {"type": "Recreate"},
}
"""Part of the predictor that larder:kserve and larder:manager share."""
ROLE = "app.kubernetes.io/component"
"""Label of a Job with its role."""
Role = Literal["populate", "prepare", "preflight", "prune"]
"""Role of a Job: fill a volume, make its folder, check images, or remove weights of pruned plans."""
HOLD_SECONDS = 30
"""Time that a request is held for an engine that takes no connections. A crashed container restarts within seconds,
and a pod that cannot overlap with its successor is back after its image has started. Clients give up after a minute."""
