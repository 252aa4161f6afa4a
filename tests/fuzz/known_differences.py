"""Where other implementations differ from ours, and which section of an RFC decides. What is not listed is a finding.

A row holds where both reasons match, that of ours and that of theirs; an empty one is that of no refusal. What was
received before the first refusal has to be the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from other_codecs import Seen


class Known(NamedTuple):
    """A known difference.

    Attributes:
        peer: the other implementation.
        ours, theirs: why the stream is refused, as regular expressions; "" where it is not.
        section: what decides.
        says: who does what.
    """

    peer: str
    ours: str
    theirs: str
    section: str
    says: str

    def explains(self, peer: str, ours: Seen, theirs: Seen) -> bool:
        """Whether two observations differ by this alone."""
        return (
            peer == self.peer
            and re.fullmatch(self.ours, ours.why) is not None
            and re.fullmatch(self.theirs, theirs.why) is not None
            and all(a == b for a, b in zip(ours.events, theirs.events, strict=False))
        )


_HEADER = r"(a|an|the|opcode|more than) .*"
_TEXT = "a text message is not UTF-8"
_REASON = "a close reason is not UTF-8"
_CODE = r"a Close frame has the close code \d+"
_UTF8 = "'utf-8' codec can't decode .*"

KNOWN: tuple[Known, ...] = (
    # It accepts what the RFC forbids.
    Known("websockets", "a length is not in its shortest form", ".*", "RFC 6455 §5.2", "it takes any form"),
    Known(
        "websockets", "the top bit of a 64-bit length is set", ".*", "RFC 6455 §5.2", "it waits, or calls it too big"
    ),
    # Both refuse, and the RFC leaves open when.
    Known("websockets", _TEXT, ".*", "RFC 6455 §8.1", "we refuse bytes as they come, it whole frames"),
    # A frame that breaks two rules: the RFC has no order of them.
    Known("websockets", _HEADER, "frame with .* exceeds limit .*", "RFC 6455 §10.4", "it judges sizes before opcodes"),
    Known("websockets", _CODE, _UTF8, "RFC 6455 §5.5.1, §7.4", "it judges the reason before the code"),
    Known("wsproto", _TEXT, f"({_UTF8})?", "RFC 6455 §8.1", "we refuse a wrong byte at once, it the whole character"),
    # It does not know all codes that are registered.
    Known("wsproto", _REASON, "CLOSE with unknown reserved code", "RFC 6455 §7.4.2, §11.7", "it does not know 1014"),
    Known("wsproto", "", "CLOSE with unknown reserved code", "RFC 6455 §7.4.2, §11.7", "it does not know 1014"),
)


# What would make them differ in all that follows is not sent to them.
NOT_SENT = (
    ("websockets, wsproto", "RFC 7692 §7.2.3.4", "a block with BFINAL: they take nothing of what follows it"),
    ("wsproto", "RFC 7692 §6.2", "a ping within a compressed message: the rest of that is then not inflated"),
    ("websockets", "RFC 6455 §5.5", "a limit below 125 bytes: it is applied to control frames, too"),
    ("websockets, wsproto", "RFC 7692 §7.2.2", "what follows a message that is not DEFLATE, or is cut short: up to it"),
)
