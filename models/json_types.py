"""Types of parsed JSON. A payload enters as `Json` and leaves it in the first reader."""

from typing import TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
JsonObject: TypeAlias = dict[str, Json]
