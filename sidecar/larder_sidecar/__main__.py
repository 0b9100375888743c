"""`python -m larder_sidecar` is `larder-sidecar`."""

import sys

from .cli import main

sys.exit(main())
