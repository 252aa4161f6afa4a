from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Literal, TypeVar, overload

from typing_extensions import disjoint_base

from ._lanes import ConnectionLane
from ._typing import Message, Parts, Prepared

__all__ = ["ChannelLane", "Outbox", "write_frame"]

_C = TypeVar("_C", bound=ChannelLane)

@disjoint_base
class Outbox:
    def __init__(self) -> None: ...

@disjoint_base
class ChannelLane:
    def __init__(
        self,
        transport: Any,
        loop: Any,
        connection: ConnectionLane,
        outbox: Outbox,
        on_messages: Callable[[Any, list[Any]], object] | None,
        queue_high: int,
        write_high: int,
    ) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def __anext__(self) -> Coroutine[Any, Any, str | bytes]: ...
    @overload
    def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
    @overload
    def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
    @overload
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, str | bytes]: ...
    def send(self, message: Message | Prepared | Parts, text: bool | None = None) -> Coroutine[Any, Any, None]: ...
    def send_nowait(self, message: Message | Prepared, text: bool | None = None) -> None: ...
    def send_many(self, messages: Sequence[Message]) -> None: ...

def write_frame(channels: Iterable[_C], frame: bytes) -> tuple[int, list[_C]]: ...
