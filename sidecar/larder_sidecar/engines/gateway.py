"""Another gateway of Larder, as the front knows it."""

from .adapter import Adapter


class Gateway(Adapter):
    """The gateway in an engine's pod. Its admin port is not for us: that it lists its models has to do."""

    kind = "gateway"
    health_path = "/v1/models"
