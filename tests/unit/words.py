"""Comparisons with words, as the code has them."""

import ast
from collections.abc import Collection, Iterable, Iterator


def compared(nodes: Iterable[ast.AST], words: Collection[str]) -> Iterator[str]:
    """Yield the comparisons among the nodes of a module that have one of these words on a side."""
    for node in nodes:
        if isinstance(node, ast.Compare | ast.match_case):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else [node.pattern]
            found = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
            if found & {*words}:
                yield ast.unparse(node)
