"""The Pulumi program: read the settings, plan, build the platform, say where it is."""

from pathlib import Path

import pulumi

from components.pin_images import pin_images
from components.plan.plan import make_plan
from components.platform import Platform, connect
from components.settings import read

settings = pin_images(read(Path(__file__).parent))
plan = make_plan(settings)
platform = Platform("larder", settings, plan, pulumi.ResourceOptions(providers=connect(settings)))
for name, value in platform.outputs.items():
    pulumi.export(name, value)
