"""`python -m testbed.plugin.kubernetes [ENGINE]`: the stand-in for pulumi-resource-kubernetes."""

import sys

from pulumi.runtime.proto import provider_pb2_grpc

from testbed.plugin.provider import KubernetesProvider
from testbed.plugin.rpc import serve


def main(arguments: list[str]) -> None:
    """Serve until the CLI ends this process."""
    engine = next((argument for argument in reversed(arguments) if not argument.startswith("-")), "")
    provider = KubernetesProvider(engine)
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    main(sys.argv[1:])
