"""Names and constants that the plan and the components share. Imports neither."""

from collections.abc import Mapping

from pydantic import JsonValue

FRONT = "front"
"""Name of the gateways before all stacks."""
INFERENCE_SERVICE = "active-llm"
"""Name of the one InferenceService, which serves the active model."""
INFERENCE_ANNOTATIONS = {
    "serving.kserve.io/deploymentMode": "Standard",
    # Otherwise KServe makes an autoscaler even if the maximum is one replica.
    "serving.kserve.io/autoscalerClass": "none",
}
ONE_AT_A_TIME: Mapping[str, JsonValue] = {
    "minReplicas": 1,
    "maxReplicas": 1,
    # One GPU holds one model: the next pod would wait forever for the GPU of the last one.
    "deploymentStrategy": {"type": "Recreate"},
}
"""Part of the predictor that does not depend on the stack or block that describes the rest."""
POPULATE = "populate"
"""Name of the Jobs that fill volumes with weights, or its beginning."""
HOLD_SECONDS = 30
"""Time that a request is held for an engine that takes no connections. A crashed container restarts within seconds,
and a pod that cannot overlap with its successor is back after its image has started. Clients give up after a minute."""
