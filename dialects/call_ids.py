"""Ids of tool calls in a client's history: each occurs once, each result finds its call.

Some servers count from `call_0` anew in every answer, so that an honest client sends the same
id in several turns. The new ids are the same for the same history every time, because
providers cache prompts by their bytes.
"""

from collections import deque


class CallIds:
    """Hands out ids while a history is read from its beginning."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._turn = 0
        self._waiting: dict[str, tuple[int, deque[str]]] = {}
        """The client's id -> the turn that used it last, and its calls there in order."""

    def begin_turn(self) -> None:
        """A message of the assistant begins: results now belong to its calls."""
        self._turn += 1

    def call(self, given: str) -> str:
        """Return the id of a call that the client names `given`, empty where it has no name."""
        unique = given or f"call_{len(self._used)}"
        number = 1
        while unique in self._used:
            number += 1
            unique = f"{given or 'call'}_{len(self._used)}_{number}"
        self._used.add(unique)
        turn, calls = self._waiting.get(given or unique, (0, deque[str]()))
        if turn != self._turn:
            calls = deque[str]()
        calls.append(unique)
        self._waiting[given or unique] = (self._turn, calls)
        return unique

    def result(self, given: str) -> str | None:
        """Return the id of the call that a result for `given` answers; None without such a call.

        Of several calls of one turn the first without a result; the last one takes any more.
        """
        if given not in self._waiting:
            return None
        calls = self._waiting[given][1]
        return calls.popleft() if len(calls) > 1 else calls[0]
