"""Strategy `image-volume`: one image of weights per model, which each node pulls once and its pods mount."""

import pulumi
from larder_sidecar.config.layout import STORE

from ..jobs import run_once
from ..manifest import Volume, VolumeMount, scratch
from ..settings.image_volume import ImageVolumeSettings
from .base import Demand, KeepsNothing, Weights
from .fetch import fetch_container

NAME = ImageVolumeSettings.NAME
IMAGES = "/weights"
"""Parent folder of the mounts; each image is at the id of its model."""
STORE_LIMIT = "64Mi"
"""Size of the pod's own store, which holds links, manifests and templates but no weights."""


class ImageVolume(KeepsNothing[ImageVolumeSettings]):
    """Weights as images that the node's runtime pulls, verifies and keeps; pods mount them read-only."""

    TYPE = "larder:caching:ImageVolume"
    SETTINGS = ImageVolumeSettings

    def deliver(self, block: ImageVolumeSettings, prepared: None, demand: Demand) -> Weights:  # noqa: ARG002
        """Declare a volume for each image, joined by links into one store, and a Job that checks them first."""
        images = block.images
        store: Volume = {"name": f"weights-{NAME}", "empty_dir": {"size_limit": STORE_LIMIT}}
        named = {model.id: f"weights-{NAME}-{number}" for number, model in enumerate(demand.plan.models)}
        volumes: list[Volume] = [
            {"name": name, "image": {"reference": images[model], "pull_policy": "IfNotPresent"}}
            for model, name in named.items()
        ]
        mounts: list[VolumeMount] = [
            {"name": name, "mount_path": f"{IMAGES}/{model}", "read_only": True} for model, name in named.items()
        ]
        linker = fetch_container(
            demand, {"name": f"weights-{NAME}", "mount_path": STORE}, *mounts, way=("--link", IMAGES)
        )
        # An image that cannot be pulled or mounted, or differs from the plan, fails here while the last pod serves.
        preflight = run_once(
            "preflight",
            "pulls the images of the weights and compares them with the plan before any pod rolls",
            role="preflight",
            container=linker,
            volumes=[store, *volumes, demand.config.volume(), scratch()],
            # The engine's nodes: other machines may have another architecture, or no disk space for the image.
            placement=demand.placement,
            deadline_seconds=demand.budget_seconds,
            namespace=demand.namespace,
            content=demand.config.text,
            opts=self.child(pulumi.ResourceOptions(depends_on=[demand.config.config_map])),
        )
        return Weights(
            strategy=NAME,
            volumes=(store, *volumes, demand.config.volume()),
            mounts=({"name": f"weights-{NAME}", "mount_path": STORE, "read_only": True}, *mounts),
            init_containers=(linker,),
            # KServe mounts the folder `models` of such an image itself, and does not need the engine's store.
            uris={model.id: f"oci+native://{images[model.id]}" for model in demand.plan.models}
            if demand.folders
            else {},
            wait_seconds=demand.budget_seconds,
            ready=(demand.config.config_map, preflight),
        )
