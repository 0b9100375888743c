"""Names and constants that the plan and the components share. Imports neither."""

from collections.abc import Mapping

from pydantic import JsonValue

FRONT = "front"
"""Name of the gateways before all stacks."""
INFERENCE_SERVICE = "active-llm"
"""Name of the one InferenceService, which serves the active model."""
INFERENCE_ANNOTATIONS = {
    "serving.kserve.io/deploymentMode": "Standard",
    # Else KServe makes an autoscaler even for one replica at most.
    "serving.kserve.io/autoscalerClass": "none",
}
ONE_AT_A_TIME: Mapping[str, JsonValue] = {
    "minReplicas": 1,
    "maxReplicas": 1,
    # One GPU holds one model: the next pod would wait for ever for the card of the one before it.
    "deploymentStrategy": {"type": "Recreate"},
}
"""Part of the predictor that is the same whichever stack or block describes the rest."""
HOLD_SECONDS = 30
"""Time that a request is held for an engine that takes no connections. A container that crashed is back within seconds,
and a pod whose successor cannot stand beside it is back after its image has started. Clients give up after a minute."""
