"""Programs in other languages that ask by the clients which people have there (tests/engines/clients/)."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from dev.locks import alone
from dev.paths import CACHE, ROOT
from tests.engines.process import lacking

SOURCES = Path(__file__).parent / "clients"
HOME = ROOT / ".larder" / "clients"
LANGUAGES = ("javascript", "go", "java")


def program(language: str) -> list[str]:
    """The command that runs it, made ready first; skips, or fails in CI, where the language is not there."""
    tool = {"javascript": "npm", "go": "go", "java": "javac"}[language]
    if shutil.which(tool) is None:
        lacking(f"no {tool} on PATH, for the clients in {language}")
    HOME.mkdir(parents=True, exist_ok=True)
    with alone(HOME / f"{language}.lock", f"another run prepares the clients in {language}"):
        return {"javascript": _javascript, "go": _go, "java": _java}[language]()


def asked(command: list[str], url: str, model: str) -> dict[str, dict[str, Any]]:
    """Run a program; return the outcome of each of its steps, by name."""
    done = subprocess.run([*command, url, model], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("step"): line for line in lines}


def _javascript() -> list[str]:
    folder, source = HOME / "js", SOURCES / "js"
    folder.mkdir(exist_ok=True)
    installed, lock = folder / "node_modules" / ".of", (source / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(source / name, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        installed.write_text(lock)
    return ["node", str(shutil.copy2(source / "client.mjs", folder))]


def _go() -> list[str]:
    binary = HOME / "go" / "clients"
    # Beside the toolchain's own, so that nothing is fetched or built twice.
    folders = {"GOMODCACHE": str(CACHE / "go-mod"), "GOCACHE": str(CACHE / "go-build")}
    env = {**folders, "GOFLAGS": "-modcacherw -mod=readonly", "CGO_ENABLED": "0"}
    _run(["go", "build", "-trimpath", "-o", str(binary), "."], SOURCES / "go", **env)
    return [str(binary)]


def _java() -> list[str]:
    """Compile the program against the jars of the lock. Maven has no lock, so the jars' hashes are compared here."""
    folder, source = HOME / "java", SOURCES / "java"
    jars, classes = folder / "lib", folder / "classes"
    lines = (source / "jars.sha256").read_text().splitlines()
    locked = {name: digest for digest, name in map(str.split, lines)}
    if _digests(jars) != locked:
        if shutil.which("mvn") is None:
            lacking("no mvn on PATH, to fetch the clients in Java")
        shutil.rmtree(jars, ignore_errors=True)
        into = (f"-Dmaven.repo.local={CACHE / 'maven'}", f"-DoutputDirectory={jars}")
        with alone(CACHE / "maven.lock", "another checkout fetches the clients in Java"):
            _run(["mvn", "-q", "-B", "dependency:copy-dependencies", *into], source)
        fetched = _digests(jars)
        other = sorted(name for name, _ in fetched.items() ^ locked.items())
        fix = "`make clean-cache`, then try again; if you changed pom.xml, do what it says"
        assert not other, f"{jars}: other jars than in jars.sha256: {', '.join(dict.fromkeys(other))}. Fix: {fix}"
    _run(["javac", "-cp", f"{jars}/*", "-d", str(classes), "Client.java"], source)
    return ["java", "-cp", os.pathsep.join((str(classes), f"{jars}/*")), "Client"]


def _digests(jars: Path) -> dict[str, str]:
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.glob("*")}


def _run(command: list[str], folder: Path, **env: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]  # Maven reports on stdout
