"""The rules of one configuration, ready to be applied. They neither wait nor do I/O."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from ..config.routing import Routing, Rule, compiled
from .prompt import Prompt, last_prompt

Header: TypeAlias = Callable[[bytes], bytes]
"""Returns the value of a request header by its name in lower case, b'' if it is absent."""
SCANNED = 64 * 1024
"""Limit for characters that patterns are applied to."""
WORK = 8_000_000
"""Limit for characters times instructions: about 50 ms in all for the worst text under the worst rules."""
SLICE = 1_000_000
"""Limit for this work in one turn of the loop, and for one pattern."""
_LONG = 64 * 1024
"""Size from which a body is read in a turn of its own, in bytes."""


class Considered(NamedTuple):
    """A rule and the reason why it does not hold; '' if it does."""

    rule: str
    model: str
    why_not: str


class Router:
    """Ordered rules; the first that holds decides."""

    def __init__(self, routing: Routing) -> None:
        patterns = [compiled(rule.pattern) if rule.pattern else None for rule in routing.rules]
        sizes = [pattern.programsize if pattern else 0 for pattern in patterns]
        reading = map(_reads_text, routing.rules)
        self._rules = list(zip(routing.names(), routing.rules, patterns, sizes, reading, strict=True))
        self._scanned = min(SCANNED, WORK // max(sum(sizes), 1), WORK // 2 // max([*sizes, 1]))
        self._reads_text = any(reads_text for *_, reads_text in self._rules)

    def explain(
        self, endpoint: str, header: Header, body: bytes, speaks: Callable[[str], bool]
    ) -> Iterator[Considered | None]:
        """Yield every rule up to the one that decides, and None where a turn of the loop should end.

        `speaks` tells if the engine of a model serves the endpoint.
        """
        if self._reads_text and len(body) > _LONG:
            yield None
        prompt = last_prompt(endpoint, body) if self._reads_text else Prompt(None)
        ends = self._ends(prompt.text or "")
        if self._reads_text and len(body) > _LONG:
            yield None
        work = 0
        for name, rule, pattern, size, reads_text in self._rules:
            if work > SLICE:
                work = 0
                yield None
            why_not = _why_not(rule, endpoint, header)
            if not why_not and reads_text:
                why_not = _why_not_text(rule, prompt, pattern, ends)
                work += len(ends) * size
            if not (why_not or speaks(rule.model)):
                why_not = f"the engine of {rule.model} does not answer {endpoint}"
            yield Considered(name, rule.model, why_not)
            if not why_not:
                return

    def _ends(self, text: str) -> bytes:
        """Return the first and the last characters of a long text, as two lines of their own.

        A question stands at either end of its text; pasted text stands between.
        """
        if len(text) > self._scanned:
            half = self._scanned // 2
            text = f"{text[:half]}\n{text[-half:]}"
        return text.encode(errors="replace")  # half of a surrogate pair is not a character


def _reads_text(rule: Rule) -> bool:
    return any(c is not None for c in (rule.pattern, rule.min_characters, rule.max_characters))


def _why_not(rule: Rule, endpoint: str, header: Header) -> str:
    if rule.endpoint is not None and rule.endpoint != endpoint:
        return f"the request did not come to {rule.endpoint}"
    for name, value in rule.header.items():
        # Blanks around a value are not part of it (RFC 9110).
        if header(name.encode()).strip(b" \t") != value.encode():
            return f"header {name} has another value, or none"
    return ""


def _why_not_text(rule: Rule, prompt: Prompt, pattern: Any, ends: bytes) -> str:  # noqa: ANN401 (re2 has no types)
    if prompt.text is None:
        return prompt.missing
    if rule.min_characters is not None and len(prompt.text) < rule.min_characters:
        return f"the text has {len(prompt.text)} characters, fewer than {rule.min_characters}"
    if rule.max_characters is not None and len(prompt.text) > rule.max_characters:
        return f"the text has {len(prompt.text)} characters, more than {rule.max_characters}"
    if pattern is not None and not pattern.search(ends):
        return "the pattern is not found"
    return ""
