"""The folder behind the hub: `<root>/<owner>/<name>/<revision>/<file>` and `<root>/<owner>/<name>/refs/main`.

A revision is 40 hex digits made of the names and hashes of its files, so equal content has an equal revision.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

REPO = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_INDEX = ".hashes.json"


class NotOnHubError(Exception):
    """The hub does not have it; `code` is the hub's X-Error-Code."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Published:
    """A file on the hub, with the fields of a catalog entry."""

    repo: str
    revision: str
    path: str
    bytes: int
    sha256: str

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


class Repositories:
    """Reads and fills the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def publish(self, repo: str, name: str, chunks: Iterable[bytes]) -> Published:
        """Write one file as a new revision of `repo` and make it `main`. Publishing the same again changes nothing."""
        if not REPO.match(repo) or not re.match(r"^\w[\w.-]*$", name):
            message = f"cannot publish {repo}/{name}: repo must be OWNER/NAME and the file a plain name"
            raise ValueError(message)
        folder = self.root / repo
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        digest, size, part = hashlib.sha256(), 0, folder / f".{name}.part"
        with part.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
        sha256 = digest.hexdigest()
        revision = hashlib.sha256(f"{name}\0{sha256}\n".encode()).hexdigest()[:40]
        (folder / revision).mkdir(exist_ok=True)
        part.rename(folder / revision / name)
        (folder / revision / _INDEX).write_text(json.dumps({name: {"bytes": size, "sha256": sha256}}))
        (folder / "refs" / "main").write_text(revision)
        return Published(repo, revision, name, size, sha256)

    def commit(self, repo: str, revision: str) -> str:
        """Return the 40 hex digits of `revision`, which is a commit or `main`."""
        folder = self.root / repo
        if not REPO.match(repo) or not (folder / "refs").is_dir():
            raise NotOnHubError("RepoNotFound", f"Repository not found: {repo}")
        if re.match(r"^[0-9a-f]{40}$", revision) and (folder / revision).is_dir():
            return revision
        ref = folder / "refs" / "main"
        if revision == "main" and ref.is_file():
            return ref.read_text().strip()
        raise NotOnHubError("RevisionNotFound", f"Invalid rev id: {revision}")

    def files(self, repo: str, revision: str) -> dict[str, Published]:
        """Return every file of a revision by its path."""
        commit = self.commit(repo, revision)
        index = json.loads((self.root / repo / commit / _INDEX).read_text())
        return {path: Published(repo, commit, path, **facts) for path, facts in sorted(index.items())}

    def find(self, repo: str, revision: str, path: str) -> Published:
        """Return one file. Raise NotOnHubError."""
        files = self.files(repo, revision)
        if path not in files:
            raise NotOnHubError("EntryNotFound", f"Entry not found: {path}")
        return files[path]

    def location(self, file: Published) -> Path:
        """Return the path of its bytes; only names out of the index get here, so no request can point elsewhere."""
        return self.root / file.repo / file.revision / file.path
