"""The ConfigMap with weights.json, which every container that fetches or waits for weights reads."""

import pulumi
from larder_sidecar.config.layout import CONFIG_FILE, CONFIG_FOLDER
from larder_sidecar.config.weights import WeightsPlan
from pulumi_kubernetes.core import v1 as core

from ..component import Component
from ..manifest import Volume, VolumeMount, metadata


class WeightsConfig(Component):
    """List of the models' files and their sources.

    The name contains the plan's digest, which does not cover the sources: another mirror changes the ConfigMap in place
    and rolls no pod; other weights make another ConfigMap. No strategy owns it, so a swap keeps it.
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
                self.name, "the files of the models: their sources, sizes and digests", namespace=namespace
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
