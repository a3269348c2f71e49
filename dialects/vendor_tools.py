"""Tools that a vendor runs itself: they go to that vendor, and to nobody else."""

from collections.abc import Sequence

from models.chat import Tool
from models.errors import Unrepresentable


def carried_tools(tools: Sequence[Tool], dialect: str, dropped: list[str]) -> list[Tool]:
    """Return the tools that a request in `dialect` can name.

    Of other vendors' tools those that the client can do without are left out and added to
    `dropped`. Raises Unrepresentable for any other.
    """
    carried = []
    for index, tool in enumerate(tools):
        if tool.raw is None or tool.dialect == dialect:
            carried.append(tool)
        elif tool.optional:
            dropped.append(f"tools.{tool.name}")
        else:
            path = f"tools[{index}]"
            raise Unrepresentable(
                f"{path}: only models of another vendor know the tool {tool.name[:64]}", path=path
            )
    return carried
