"""Layers of an image: uncompressed tars whose bytes depend on their contents alone.

They have no times, no owners and a fixed order. They are uncompressed, because weights do not compress, and because a
layer's digest is then its diff_id.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ImageError
from ..store import untrusted

LAYER = "application/vnd.oci.image.layer.v1.tar"
_BLOCK, _CHUNK = 512, 1 << 20


@dataclass(frozen=True)
class Descriptor:
    """The descriptor of a blob in a manifest."""

    media_type: str
    digest: str
    size: int

    def to_dict(self) -> dict[str, object]:
        """Return the descriptor as JSON values."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Layer:
    """A tar of one file, as a stream: it may be larger than memory. `content` is the file's path or bytes."""

    path: str
    content: Path | bytes
    size: int
    """Size of the file in bytes."""

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yield the tar from byte `start`, the same at each call. Raises ImageError if the size of the file changes."""
        head = self._head()
        if start < len(head):
            yield head[start:]
        yield from self._read(min(self.size, max(0, start - len(head))))
        yield self._tail()[max(0, start - len(head) - self.size) :]

    def describe(self) -> tuple[Descriptor, str]:
        """Read the file once, and return the descriptor of the tar and the sha256 (hex) of the file."""
        head, tail = self._head(), self._tail()
        tar, file = hashlib.sha256(head), hashlib.sha256()
        for chunk in self._read(0):
            tar.update(chunk)
            file.update(chunk)
        tar.update(tail)
        return Descriptor(LAYER, f"sha256:{tar.hexdigest()}", self.total), file.hexdigest()

    @property
    def total(self) -> int:
        """Return the bytes of the tar."""
        return len(self._head()) + self.size + len(self._tail())

    def _head(self) -> bytes:
        folders = [_header(str(folder), tarfile.DIRTYPE) for folder in reversed(PurePosixPath(self.path).parents[:-1])]
        return b"".join([*folders, _header(self.path, tarfile.REGTYPE, size=self.size)])

    def _tail(self) -> bytes:
        return b"\0" * (-self.size % _BLOCK + 2 * _BLOCK)

    def _read(self, start: int) -> Iterator[bytes]:
        left = self.size - start
        with io.BytesIO(self.content) if isinstance(self.content, bytes) else untrusted.open_file(self.content) as file:
            file.seek(start)
            while left >= 0 and (chunk := file.read(_CHUNK)):
                left -= len(chunk)
                yield chunk
        if left:
            raise ImageError(
                f"{self.path} has {self.size - left} bytes, not {self.size}",
                "Start again: the file has changed.",
            )


def make_tar(files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """Return a tar of small files and symbolic links, by path, with their parent folders."""
    entries: dict[str, bytes] = {}
    for path in (*files, *links):
        entries |= {str(folder): _header(str(folder), tarfile.DIRTYPE) for folder in PurePosixPath(path).parents[:-1]}
    for path, content in files.items():
        entries[path] = _header(path, tarfile.REGTYPE, size=len(content)) + content + b"\0" * (-len(content) % _BLOCK)
    for path, target in links.items():
        entries[path] = _header(path, tarfile.SYMTYPE, target=target)
    # A folder sorts before what is in it.
    return b"".join(entries[path] for path in sorted(entries)) + b"\0" * 2 * _BLOCK


def describe_content(media_type: str, content: bytes) -> Descriptor:
    """Return the descriptor of `content`."""
    return Descriptor(media_type, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


def _header(path: str, kind: bytes, *, size: int = 0, target: str = "") -> bytes:
    # TarInfo's defaults are reproducible: mtime 0, uid and gid 0, no names.
    entry = tarfile.TarInfo(f"{path}/" if kind == tarfile.DIRTYPE else path)
    entry.type, entry.size, entry.linkname = kind, size, target
    entry.mode = {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(kind, 0o644)  # for every user of an engine
    return entry.tobuf(tarfile.PAX_FORMAT)
