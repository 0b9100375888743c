"""Reads WWW-Authenticate: a list of challenges over one or several header lines (RFC 9110 11.6.1).

Lenient where servers are: unquoted URLs as values, single quotes, parameters without commas, quoted text without an
end. The work is linear in the text, and at most LONGEST characters are read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LONGEST = 16 << 10
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}"
_PARAMETER = re.compile(
    rf'({_WORD})[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)(?:"|\\?\Z)|([^\s,"=][^\s,"]*))', re.DOTALL
)
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+([A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|\Z)))?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Challenge:
    """One way to log in. `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str]
    token68: str = ""


def parse_challenges(lines: Iterable[str]) -> list[Challenge]:
    """Return the challenges of the header lines, in their order. Text that is no challenge is skipped."""
    found: list[Challenge] = []
    left = LONGEST
    for line in lines:
        found.extend(_read(line[:left]))
        left -= min(left, len(line))
    return found


def _read(text: str) -> Iterable[Challenge]:
    at, scheme, token68, parameters = 0, "", "", dict[str, str]()
    while at < len(text):
        if parameter := _PARAMETER.match(text, at):
            name, quoted, plain = parameter.groups()
            # A name that comes twice is an error (RFC 9110 11.2); the first one counts.
            parameters.setdefault(name.lower(), _bare(plain) if quoted is None else _ESCAPED.sub(r"\1", quoted))
            at = parameter.end()
        elif start := _SCHEME.match(text, at):
            if scheme:
                yield Challenge(scheme, parameters, token68)
            scheme, token68, parameters = start[1].lower(), start[2] or "", {}
            at = start.end()
        else:
            at += 1  # a comma, a blank, or what belongs nowhere
    if scheme:
        yield Challenge(scheme, parameters, token68)


def _bare(text: str) -> str:
    """Take off single quotes, which RFC 9110 counts as characters of the value."""
    return text[1:-1] if re.fullmatch(r"'[^']*'", text) else text
