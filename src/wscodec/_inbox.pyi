from collections.abc import Coroutine
from typing import Any, Literal, overload

from typing_extensions import disjoint_base

__all__ = ["Inbox"]

@disjoint_base
class Inbox:
    def __init__(self, loop: Any, queue_high: int, direct: bool) -> None: ...
    def __anext__(self) -> Coroutine[Any, Any, str | bytes]: ...
    @overload
    def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
    @overload
    def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
    @overload
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, str | bytes]: ...
