"""Comparisons with words, as the code has them."""

import ast
from collections.abc import Collection, Iterator


def compared(code: str, words: Collection[str]) -> Iterator[str]:
    """Yield the comparisons of a module that have one of these words on a side."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Compare | ast.match_case):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else [node.pattern]
            found = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
            if found & {*words}:
                yield ast.unparse(node)
