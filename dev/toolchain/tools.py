"""The tools of a deployment: Pulumi, and the engines for images. The pins beside this file give the versions."""

import os
import shutil
import sys
from pathlib import Path

from ..paths import CACHE
from ..progress import CommandError, run
from .build import GoModules, Tool

SOURCES = Path(__file__).parent
_MODULES = GoModules(SOURCES / "go")
pinned, go_build, go_pins = _MODULES.version, _MODULES.build, _MODULES.pins


def _pulumi(out: Path, log: Path) -> None:
    version = pinned("pulumi", "github.com/pulumi/pulumi/pkg/v3")
    stamp = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    flags = ("-tags", "osusergo,grpcnotrace", "-ldflags", stamp)
    go_build("pulumi", ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"], out / "bin", log, flags=flags)
    # The CLI needs its language host beside itself; the caller selects the checkout.
    host = out / "bin" / "pulumi-language-python"
    python = '"$LARDER_CHECKOUT/.larder/venv/bin/python"'
    host.write_text(f'#!/bin/sh\nPYTHONPATH="$LARDER_CHECKOUT" exec {python} -m testbed.plugin.language_host "$@"\n')
    host.chmod(0o755)


def _ollama(out: Path, log: Path) -> None:
    version = pinned("ollama", "github.com/ollama/ollama").removeprefix("v")
    flags = ("-ldflags", f"-s -w -X github.com/ollama/ollama/version.Version={version}")
    go_build("ollama", ["github.com/ollama/ollama"], out / "bin", log, flags=flags, cgo=True)
    # Since 0.30 Ollama's engine is a llama-server process, looked for in ../lib/ollama beside the binary's folder.
    engine = LLAMA_SERVER.ensure() / "bin" / "llama-server"
    (out / "lib" / "ollama").mkdir(parents=True)
    shutil.copy2(engine, out / "lib" / "ollama" / "llama-server")


def _llama_server(out: Path, log: Path) -> None:
    # The source distribution of llama-cpp-python contains all of llama.cpp, with the server.
    source = out / "src"
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
    run([*pip, "-r", SOURCES / "llama-server.txt", "-d", source], log=log)
    (archive,) = source.glob("*.tar.gz")
    run(["tar", "-xzf", archive, "--strip-components=1", "-C", source], log=log)
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "BUILD_SHARED_LIBS": "OFF",
        "GGML_NATIVE": "OFF",
        "LLAMA_OPENSSL": "OFF",
        # Link statically except for libc: the image has neither OpenMP nor a C++ library.
        "GGML_OPENMP": "OFF",
        "CMAKE_EXE_LINKER_FLAGS": "-static-libgcc -static-libstdc++",
        "LLAMA_USE_PREBUILT_UI": "OFF",
        "LLAMA_BUILD_UI": "OFF",
        "LLAMA_BUILD_TESTS": "OFF",
        "LLAMA_BUILD_EXAMPLES": "OFF",
    }
    run(
        ["cmake", "-S", source / "vendor/llama.cpp", "-B", out / "cmake", *(f"-D{k}={v}" for k, v in options.items())],
        log=log,
    )
    run(["cmake", "--build", out / "cmake", "--target", "llama-server", "-j", str(os.cpu_count() or 2)], log=log)
    (out / "bin").mkdir()
    binary = out / "bin" / "llama-server"
    shutil.copy2(out / "cmake" / "bin" / "llama-server", binary)
    run(["strip", binary], log=log)
    shutil.rmtree(source)
    shutil.rmtree(out / "cmake")


def _shimmy(out: Path, log: Path) -> None:
    name, version, checksum = (SOURCES / "shimmy.txt").read_text().split()
    env = os.environ | {"CARGO_HOME": str(CACHE / "cargo"), "CARGO_TARGET_DIR": str(out / "target")}
    # cargo holds an archive against the checksum in its index, and the index is held against ours here; the crates
    # below it are those of the lock file in the archive.
    pin = out / "pin"
    (pin / "src").mkdir(parents=True)
    (pin / "src" / "lib.rs").touch()
    (pin / "Cargo.toml").write_text(
        f'[package]\nname = "pin"\nversion = "0.0.0"\n[dependencies]\n{name} = "={version}"\n'
    )
    run(["cargo", "generate-lockfile"], log=log, cwd=pin, env=env)
    if f'checksum = "{checksum}"' not in (pin / "Cargo.lock").read_text():
        msg = f"{name} {version} does not match its pin: the checksum differs from dev/toolchain/shimmy.txt"
        raise CommandError(msg)
    run(["cargo", "install", name, "--version", version, "--locked", "--root", out], log=log, env=env)
    shutil.rmtree(pin)
    shutil.rmtree(out / "target")


PULUMI = Tool(name="pulumi", title="building the Pulumi CLI", expected=280, pins=go_pins("pulumi"), build=_pulumi)
LLAMA_SERVER = Tool(
    name="llama-server",
    title="building llama-server",
    expected=260,
    pins=(SOURCES / "llama-server.txt",),
    build=_llama_server,
)
OLLAMA = Tool(
    name="ollama", title="building Ollama", expected=160, pins=go_pins("ollama"), needs=(LLAMA_SERVER,), build=_ollama
)
SHIMMY = Tool(
    name="shimmy",
    title="building Shimmy",
    expected=250,
    pins=(SOURCES / "shimmy.txt",),
    build=_shimmy,
)

ENGINES = {tool.name: tool for tool in (OLLAMA, LLAMA_SERVER, SHIMMY)} | {"vllm": LLAMA_SERVER}
"""Engines by their keys in larder:images; llama-server substitutes for vLLM."""
