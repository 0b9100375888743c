"""Strategy `prebuilt-image`: the engine's own image contains the weights at the path that the engine reads."""

import pulumi
from larder_sidecar.config.layout import STORE, marker_path

from ..jobs import run_once
from ..manifest import TMP, Container, scratch
from ..settings import Problem, Settings, SettingsError
from ..settings.prebuilt_image import Build, PrebuiltImageSettings
from .base import CachingStrategy, Demand, Weights

NAME = PrebuiltImageSettings.NAME
# The check runs in the image itself, because image volumes need Kubernetes 1.33. Engines' images have a shell, and the
# image's digest guarantees that the marker belongs to the published weights.
PROOF = """test -r "$0" && exit
echo "this image holds no weights of the plan $1, for which $0 would be there and readable by us. Make it by \
larder-sidecar publish --engine with these models, and name it in larder:cache.prebuilt-image.image."
exit 1"""


class PrebuiltImage(CachingStrategy[PrebuiltImageSettings, str]):
    """Engine image that contains the weights: the node's runtime pulls, verifies and keeps it."""

    TYPE = "larder:caching:PrebuiltImage"
    SETTINGS = PrebuiltImageSettings

    @classmethod
    def prepare(
        cls,
        settings: Settings,
        block: PrebuiltImageSettings,  # noqa: ARG003
        demand: Demand,  # noqa: ARG003
        opts: pulumi.ResourceOptions,  # noqa: ARG003
    ) -> str:
        """Return the engine image to add the weights to; empty if no stack runs one of our engines."""
        return next((settings.images.of(stack.runs) for stack in settings.blocks.values() if stack.GATEWAY), "")

    def deliver(self, block: PrebuiltImageSettings, prepared: str, demand: Demand) -> Weights:
        """Replace the engine's image, and register a Job that finds the plan in it before any pod rolls."""
        plan = demand.plan.digest()
        image, called = self._built(demand, prepared, block.build) if block.build else (block.image, block.image)
        proof: Container = {
            "name": "proof",
            "image": called,
            "command": ["/bin/sh", "-c", PROOF, f"{STORE}/{marker_path(plan)}", plan],
            "volume_mounts": [{"name": TMP, "mount_path": "/tmp"}],  # noqa: S108 (an emptyDir of this pod)
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        }
        preflight = run_once(
            "preflight",
            "pulls the engine's image and checks that it has the weights of the plan before any pod rolls",
            role="preflight",
            container=proof,
            volumes=[scratch()],
            # The engine's nodes: other machines may have another architecture, or no disk space for the image.
            placement=demand.placement,
            deadline_seconds=demand.budget_seconds,
            namespace=demand.namespace,
            image=image,
            opts=self.child(),
        )
        return Weights(
            strategy=NAME,
            volumes=(),
            mounts=(),
            image=image,
            wait_seconds=demand.budget_seconds,
            ready=(preflight,),
        )

    def _built(self, demand: Demand, engine: str, build: Build) -> tuple[pulumi.Input[str], str]:
        """Return the image by digest, and the name that it has before it is built."""
        try:
            from .built_image import built_image
        except ModuleNotFoundError as error:
            msg = f"needs the Python package {error.name}. Fix: run make clouds."
            raise SettingsError([Problem(f"larder:cache.{NAME}.build", msg)]) from error
        built = built_image(demand, engine, build, self.child())
        return built.reference, built.tag
