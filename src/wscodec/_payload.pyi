from collections.abc import Sequence

from typing_extensions import disjoint_base

from ._typing import Buffer, Message

__all__ = ["Payload", "pack_chunks"]

@disjoint_base
class Payload:
    def __init__(self, text: bool) -> None: ...
    def take(self, data: Buffer, start: int, length: int, key: Buffer | None, offset: int) -> int: ...
    @property
    def valid(self) -> bool: ...
    def finish(self) -> str | bytes | None: ...

def pack_chunks(messages: Sequence[Message], least: int) -> list[bytes | memoryview]: ...
