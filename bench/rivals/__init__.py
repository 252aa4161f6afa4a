"""The peers, one adapter each, all with the same few functions.

An adapter has `about() -> dict` (its version and whatever else decides about speed), `SKIPPED` (operation ->
why there is none) and those of these operations that the peer can do:

    text_decoder()      -> feed(chunk) -> list of str: the messages that one read completes
    binary_decoder()    -> feed(chunk) -> list of bytes
    fragment_decoder()  -> feed(chunk) -> list of str, out of messages that come in fragments
    frame_decoder()     -> feed(chunk) -> list of raw frames; and a function: frame -> (opcode, payload)
    connection()        -> feed(chunk) -> list of str, with all that a whole connection does on the way
    echo()              -> feed(chunk) -> bytes: the answer, every message decoded and sent back
    pong()              -> feed(chunk) -> bytes: the pong for the ping in `chunk`
    encode_one(masked)  -> function of a str -> bytes: a client's frame if masked, else a server's
    encode_many(masked) -> function of a list of str -> bytes
    mask(data, key)     -> a function and its arguments; calling it returns masked bytes
    mask_inplace(buffer, key)                          -> the same, but it masks a bytearray and returns None
                           (Python masks nothing: it copies as much, from one buffer to another; see ONLY_COPIES)
    validate_utf8(data), decode_utf8(data)             -> the same, for bytes
    handshake()         -> function of a request's bytes -> the answer's bytes, on a new connection

Adapters are as a good user of the peer would write them: no more work than its documentation asks for. Each
is imported in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NOT_INSTALLED = 77


@dataclass(frozen=True)
class Rival:
    """A column of the table: its adapter and the environment of its process."""

    module: str
    environment: dict[str, str] = field(default_factory=dict)


KERNELS = ("avx512", "avx2", "ssse3", "sse2", "neon", "portable")


def kernel_rival(kernel: str) -> str:
    """Return the name of the rival that is wscodec on one kernel."""
    return f"{kernel} kernel"


# What is measured where nobody names rivals.
DEFAULT = {
    "wscodec": Rival(".rivals.wscodec_", {"WSCODEC_BACKEND": "compiled"}),
    "pure": Rival(".rivals.wscodec_", {"WSCODEC_BACKEND": "pure"}),
    "websockets": Rival(".rivals.websockets_"),
    "wsproto": Rival(".rivals.wsproto_"),
    "aiohttp": Rival(".rivals.aiohttp_"),
    "picows": Rival(".rivals.picows_"),
    "python": Rival(".rivals.python_"),
}
RIVALS = DEFAULT | {kernel_rival(name): Rival(".rivals.kernel_", {"WSCODEC_BENCH_KERNEL": name}) for name in KERNELS}
