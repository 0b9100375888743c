"""The Pulumi program: settings, the plan and components.

The program and the sidecar share their models (`larder_sidecar.config`, `.catalog`), so a preview refuses what the
sidecar would refuse at start. `make venv` puts the checkout and `sidecar/` on the environment's path.

The packages of the clouds are beside the virtual environment and not in it. Pulumi's CLI downloads the plugin of every
package that it finds in the environment: hundreds of megabytes for clouds that the stack may not use.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of Pulumi.yaml."""

if (_clouds := str(ROOT / ".larder" / "clouds")) not in sys.path:
    sys.path.append(_clouds)
