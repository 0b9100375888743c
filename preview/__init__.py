"""Everything about previews: the program run without CLI, cluster, plugin or credentials, compared and described."""

import components  # noqa: F401 (puts the models that the sidecar shares on the path)
