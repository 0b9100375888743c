"""Everything the Pulumi program declares.

The program reads the very models that the sidecar reads at start (`larder_sidecar.config`, `.catalog`), so that a
preview refuses what the sidecar would refuse. `make venv` puts the checkout and `sidecar/` on the environment's path.

The packages of the clouds stand beside the virtual environment, not in it: Pulumi's CLI downloads the plugin of every
package that it finds there, hundreds of megabytes for clouds that the stack may not use.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of Pulumi.yaml."""

if (_clouds := str(ROOT / ".larder" / "clouds")) not in sys.path:
    sys.path.append(_clouds)
