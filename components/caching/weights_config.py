"""weights.json, as the ConfigMap that everything which fetches or waits reads."""

import pulumi
from larder_sidecar.config.layout import CONFIG_FILE, CONFIG_FOLDER
from larder_sidecar.config.weights import WeightsPlan
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..manifest import Volume, VolumeMount, metadata


class WeightsConfig(Component):
    """Which files make up the models, and where they come from.

    Named by the plan's digest, which leaves out where the bytes come from: another mirror is a change in place that
    moves no pod, other weights are another ConfigMap. It stands outside the strategies so that a swap keeps it.
    """

    TYPE = "larder:weights:WeightsConfig"

    def __init__(
        self, name: str, plan: WeightsPlan, *, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.name = f"larder-weights-{plan.digest()[:8]}"
        self.text = plan.to_json()
        self.path = f"{CONFIG_FOLDER}/{CONFIG_FILE}"
        self.config_map = core.ConfigMap(
            "weights.json",
            metadata=metadata(
                self.name, "the files of the models: where they come from and what they must be", namespace=namespace
            ),
            data={CONFIG_FILE: self.text},
            opts=self.child(),
        )
        self.register_outputs({"name": self.name})

    def volume(self) -> Volume:
        """Return the volume of a pod that reads the file."""
        return {"name": "weights-config", "config_map": {"name": self.name}}

    def mount(self) -> VolumeMount:
        """Return the mount of a container that reads the file."""
        return {"name": "weights-config", "mount_path": CONFIG_FOLDER, "read_only": True}
