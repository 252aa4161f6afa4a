from collections.abc import Sequence

from ._typing import Buffer, Message
from .events import Event
from .spec import Header

__all__ = ["build_header", "pack_messages", "parse_header", "take_frame", "take_messages"]

def parse_header(data: Buffer, offset: int = 0) -> Header | None: ...
def build_header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv1: bool = False,
    rsv2: bool = False,
    rsv3: bool = False,
    masking_key: Buffer | None = None,
) -> bytes: ...
def take_messages(data: Buffer, start: int, masked: bool, max_size: int, messages: list[Event]) -> int: ...
def take_frame(data: Buffer, start: int, masked: bool, max_size: int) -> tuple[int, bytes, int] | None: ...
def pack_messages(messages: Sequence[Message], keys: bytes | None) -> bytes: ...
