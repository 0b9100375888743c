"""`python -m testbed.plugin.kubernetes [FLAGS] ENGINE`: the stand-in for pulumi-resource-kubernetes."""

import sys

from pulumi.runtime.proto import provider_pb2_grpc

from testbed.plugin.provider import KubernetesProvider
from testbed.plugin.rpc import serve, servicer


def main(arguments: list[str]) -> None:
    """Serve until the CLI ends this process."""
    provider = servicer(KubernetesProvider(arguments[-1]))
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    main(sys.argv[1:])
