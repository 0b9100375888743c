"""Strategy `none`, which has no settings."""

from collections.abc import Sequence

from .strategy import START, Made, Need, StrategySettings


class NoCacheSettings(StrategySettings):
    """Each pod fetches the weights for itself, and they are deleted with it."""

    NAME = "none"
    KEEPS = "pod"
    NEEDS = (
        Need("every pod reaches {sources}", START),
        Need(
            "{copy} free on the node's disk for each pod",
            "the scheduler, which knows the request; the kubelet, which evicts a pod beyond it",
        ),
    )

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:  # noqa: ARG003
        """Describe the fetch of the weights."""
        return "by every pod, at each of its starts"

    def place(self, total: int) -> str:  # noqa: ARG002
        """Describe the place of the weights."""
        return "in each pod, fetched at every start"
