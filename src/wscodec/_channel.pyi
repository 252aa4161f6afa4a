from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from typing_extensions import disjoint_base

from ._inbox import Inbox
from ._lanes import ConnectionLane
from ._typing import Message, Parts, Prepared

__all__ = ["ChannelLane", "Outbox", "write_frame"]

_C = TypeVar("_C", bound=ChannelLane)

@disjoint_base
class Outbox:
    def __init__(self) -> None: ...

@disjoint_base
class ChannelLane(Inbox):
    def __init__(
        self,
        transport: Any,
        loop: Any,
        connection: ConnectionLane,
        outbox: Outbox,
        on_messages: Callable[[Any, list[Any]], object] | None,
        queue_high: int,
        write_high: int,
        background_size: int,
    ) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def get_buffer(self, sizehint: int) -> memoryview: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def send(
        self, message: Message | Prepared | Parts, text: bool | None = None, *, compress: bool = True
    ) -> Coroutine[Any, Any, None]: ...
    def send_nowait(self, message: Message | Prepared, text: bool | None = None, *, compress: bool = True) -> None: ...
    def send_many(self, messages: Sequence[Message]) -> None: ...

def write_frame(channels: Iterable[_C], frame: bytes) -> tuple[int, list[_C]]: ...
