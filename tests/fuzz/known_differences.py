"""Where other implementations differ from ours, and which section of an RFC decides. What is not listed is a finding.

A row holds where both reasons match, that of ours and that of theirs; an empty one is that of no refusal. What was
received before the first refusal has to be the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from other_codecs import Seen


class Known(NamedTuple):
    """A known difference.

    Attributes:
        peer: the other implementation.
        ours, theirs: why the stream is refused, as regular expressions; "" where it is not.
        section: what decides.
        says: who does what.
        where: what the stream must be: "torn", if its last frame is not whole, "unfinished", if that frame or the last
            message is not, or "compressed"; "" for any.
    """

    peer: str
    ours: str
    theirs: str
    section: str
    says: str
    where: str = ""

    def explains(self, peer: str, ours: Seen, theirs: Seen, stream: Collection[str] = ()) -> bool:
        """Whether two observations differ by this alone; `stream` is what there is to say of the stream."""
        return (
            peer == self.peer
            and (not self.where or self.where in stream)
            and re.fullmatch(self.ours, ours.why) is not None
            and re.fullmatch(self.theirs, theirs.why) is not None
            and all(a == b for a, b in zip(ours.events, theirs.events, strict=False))
        )


def is_known(peer: str, ours: Seen, theirs: Seen, stream: Collection[str] = ()) -> bool:
    """Whether two observations differ by what a row says; `stream` as `explains` takes it."""
    return any(known.explains(peer, ours, theirs, stream) for known in KNOWN)


_HEADER = (
    "a reserved bit is set|opcode .* is reserved|a (control )?frame is .*|a Close frame has a payload of one byte"
    "|more than .* announced|the top bit of a 64-bit length is set|a length is not in its shortest form"
    "|a continuation frame continues nothing|a message begins within another"
)
_TEXT = "a text message is not UTF-8"
_REASON = "a close reason is not UTF-8"
_CODE = r"a Close frame has the close code \d+"
_CLOSE = f"{_REASON}|{_CODE}"
_UTF8 = "'utf-8' codec can't decode .*"

KNOWN: tuple[Known, ...] = (
    # It accepts what the RFC forbids.
    Known("websockets", "a length is not in its shortest form", ".*", "RFC 6455 §5.2", "it takes any form"),
    # It refuses what the RFC allows.
    Known("websockets", "", "incomplete fragmented message", "RFC 6455 §5.4, §5.5.1", "a Close within a message"),
    Known(
        "websockets",
        "",
        "frame with .* exceeds limit .*",
        "RFC 7692 §6.2",
        "of a frame it counts what is compressed, too",
        where="compressed",
    ),
    Known(
        "websockets",
        "a compressed message is (above the limit once it is inflated|not DEFLATE)",
        "frame with .* exceeds limit .*",
        "RFC 7692 §6.2",
        "it counts what is compressed, and does not see what is wrong behind it",
        where="compressed",
    ),
    # Both refuse, and the RFC leaves open when.
    Known("websockets", _HEADER, "", "RFC 6455 §7.1.7", "we judge a header at once, it whole frames", where="torn"),
    Known("wsproto", _HEADER, "", "RFC 6455 §7.1.7", "we judge a header at once, it whole ones", where="torn"),
    Known("websockets", _CLOSE, "", "RFC 6455 §7.1.7", "we judge a Close frame as it comes", where="torn"),
    Known("wsproto", _CLOSE, "", "RFC 6455 §7.1.7", "we judge a Close frame as it comes", where="torn"),
    Known("websockets", _TEXT, "", "RFC 6455 §8.1", "we refuse bytes as they come, it messages", where="unfinished"),
    Known("wsproto", _TEXT, "", "RFC 6455 §8.1", "we refuse a wrong byte, it whole characters", where="unfinished"),
    Known("websockets", _TEXT, ".+", "RFC 6455 §8.1", "it sees what is behind the wrong bytes first"),
    Known("wsproto", _TEXT, ".+", "RFC 6455 §8.1", "it sees what is behind half a wrong character first"),
    # A frame that breaks two rules: the RFC has no order of them.
    Known("websockets", _HEADER, "frame with .* exceeds limit .*", "RFC 6455 §10.4", "it judges sizes before opcodes"),
    Known("websockets", _CODE, _UTF8, "RFC 6455 §5.5.1, §7.4", "it judges the reason before the code"),
    # It does not know all codes that are registered.
    Known("wsproto", _REASON, "CLOSE with unknown reserved code", "RFC 6455 §7.4.2, §11.7", "it judges 1014 at once"),
    Known("wsproto", "", "CLOSE with unknown reserved code", "RFC 6455 §7.4.2, §11.7", "it does not know 1014"),
    # Requests that it accepts.
    Known("websockets", "the Host header names no host", "", "RFC 9110 §7.2, RFC 9112 §3.2", "any Host"),
    Known("websockets", "malformed request: (Missing|Found).* Host: .*", "", "RFC 9112 §3.2", "no Host, or several"),
    Known("websockets", "the request's target .*", "", "RFC 6455 §4.2.1 (1), §3", "any target"),
    Known("websockets", "Sec-WebSocket-Protocol names .* twice", "", "RFC 6455 §4.1 (10)", "one name twice"),
    Known("wsproto", "the Host header names no host", "", "RFC 9110 §7.2, RFC 9112 §3.2", "any Host"),
    Known("wsproto", "the request's target .*", "", "RFC 6455 §4.2.1 (1), §3", "any target"),
    Known(
        "wsproto", "a WebSocket handshake has no body", "", "RFC 6455 §4.2.1, RFC 9110 §8.6", "a request with a body"
    ),
    Known("wsproto", "a WebSocket handshake needs HTTP/1.1", "", "RFC 6455 §4.2.1 (1)", "HTTP/1.0"),
    Known("wsproto", "Sec-WebSocket-Key is not .*", "", "RFC 6455 §4.2.1 (5)", "any key"),
    Known("wsproto", "a WebSocket handshake has one Sec-WebSocket-Key", "", "RFC 6455 §4.1 (7), §11.3.1", "two keys"),
    Known("wsproto", "Connection is not a list of tokens", "", "RFC 9110 §7.6.1", "what is no list of tokens"),
    Known("wsproto", "Upgrade is not a list of protocols", "", "RFC 9110 §7.8", "what is no list of protocols"),
    Known("wsproto", "Sec-WebSocket-Version must be 13", "", "RFC 6455 §4.2.1 (6)", "several versions"),
    Known("wsproto", "Sec-WebSocket-Protocol .*", "", "RFC 6455 §4.1 (10), §11.3.4", "what is no list of names"),
    Known("wsproto", "a request has one Origin header at most", "", "RFC 6454 §7.3", "several origins"),
    Known("wsproto", "a line of the head .*", "", "RFC 9112 §2.2, §5.2", "bytes that are in no head"),
    Known("wsproto", "a line of more than 8192 bytes", "", "RFC 6585 §5", "longer lines"),
    # Requests that it refuses.
    Known("websockets", "", "InvalidUpgrade: .*", "RFC 6455 §4.2.1 (3), RFC 9110 §7.8", "a list of protocols"),
    Known("websockets", "", "InvalidMessage: .*unsupported request body.", "RFC 9110 §8.6", "a Content-Length of 0"),
    Known(
        "wsproto",
        "",
        "RemoteProtocolError: Missing header, .*",
        "RFC 9110 §5.3, §7.8",
        "the last line of a name counts",
    ),
    Known("wsproto", "", "UnicodeDecodeError: .*", "RFC 9110 §5.5", "bytes above ASCII, with the wrong error"),
    # Responses that it accepts, and refuses.
    Known("websockets", "a 101 response has no body", "", "RFC 9110 §6.4.1, RFC 9112 §6.3", "a body"),
    Known("websockets", "malformed response: .*(Content-Length|Transfer-Encoding).*", "", "RFC 9112 §6.3", "no length"),
    Known("websockets", "", "InvalidStatus: .* HTTP 103", "RFC 9110 §15.2", "interim responses"),
)


# What would make them differ in all that follows is not sent to them.
NOT_SENT = (
    ("websockets, wsproto", "RFC 7692 §7.2.3.4", "a block with BFINAL: they take nothing of what follows it"),
    ("wsproto", "RFC 7692 §6.2", "a ping within a compressed message: the rest of that is then not inflated"),
    ("websockets", "RFC 6455 §5.5", "a limit below 125 bytes: it is applied to control frames, too"),
    ("websockets, wsproto", "RFC 7692 §7.2.2", "what follows a message that is not DEFLATE, or is cut short: up to it"),
)
