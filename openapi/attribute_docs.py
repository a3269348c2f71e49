"""The texts that stand under the fields of a class, for documents that tell of them.

They are read from the source when such a document is made. Reading them as the classes are made
would cost every start more than anything else does.
"""

import ast
import inspect
import sys
from functools import cache


def attribute_docs(of: type[object]) -> dict[str, str]:
    """Return the text under each field of a class, its own or inherited, by the field's name.

    What has no source to be read, such as built-in classes, has no texts.
    """
    texts: dict[str, str] = {}
    for base in reversed(of.__mro__):
        texts |= _of_module(base.__module__).get(base.__qualname__, {})
    return texts


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Return the texts of each class at the top of a module."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):
        return {}
    return {node.name: _texts(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _texts(of: ast.ClassDef) -> dict[str, str]:
    texts: dict[str, str] = {}
    for field, after in zip(of.body, of.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = inspect.cleandoc(text)
            case _:
                pass
    return texts
