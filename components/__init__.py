"""Everything the Pulumi program declares.

The program reads the very models that the sidecar reads at start (`larder_sidecar.config`, `.catalog`), so that a
preview refuses what the sidecar would refuse. They live in `sidecar/`, which no installation step puts on the path.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of Pulumi.yaml."""

if (_sidecar := str(ROOT / "sidecar")) not in sys.path:
    sys.path.insert(0, _sidecar)
