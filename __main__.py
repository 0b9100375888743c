"""The Pulumi program: read the settings, build the platform, say where it is."""

from pathlib import Path

import pulumi

from components.platform import Platform, connect
from components.settings import read

settings = read(Path(__file__).parent)
platform = Platform("larder", settings, pulumi.ResourceOptions(providers=[connect(settings)]))
for name, value in platform.outputs.items():
    pulumi.export(name, value)
