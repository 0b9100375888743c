"""Substitute for vLLM: `python3 -m vllm.entrypoints.openai.api_server` runs llama-server with the options it supports.

Kept is what KServe and the front rely on: the file under /mnt/models, port, /health once it is loaded, the name.
Arguments about GPUs say nothing to a processor. A folder is refused: llama-server reads GGUF files alone.
"""

import argparse
import os
import sys


def command(arguments: list[str]) -> list[str]:
    """Return llama-server's command line for one of vLLM's."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", default="8000")
    parser.add_argument("--max-model-len", default="2048")
    known, ignored = parser.parse_known_args(arguments)
    if not os.path.isfile(known.model):  # noqa: PTH113 (the image has no other file of ours)
        parser.error(f"{known.model} is no GGUF file")
    print("stand-in for vLLM: ignored", *ignored, file=sys.stderr, flush=True)
    server = ["llama-server", "--no-webui", "--offline", "--jinja", "--threads", "2"]
    server += ["--host", known.host, "--port", known.port]
    return [*server, "--model", known.model, "--alias", known.served_model_name, "--ctx-size", known.max_model_len]


if __name__ == "__main__":
    line = command(sys.argv[1:])
    os.execvp(line[0], line)
