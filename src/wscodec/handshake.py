"""The opening handshake of either side, without I/O (RFC 6455 §4).

`ServerHandshake` and `ClientHandshake` take bytes; a server that has parsed the HTTP request already takes
the functions on headers, which hold the same rules.

Floor 3.
"""

from __future__ import annotations

from ._client_handshake import ClientHandshake
from ._http import Request, Response
from ._server_handshake import ServerHandshake
from ._subprotocols import negotiate_subprotocol, offered_subprotocols
from ._upgrade import (
    accept_key,
    check_request,
    check_response,
    generate_key,
    request_headers,
    response_headers,
)
from .deflate import AgreedDeflate, PerMessageDeflate
from .extensions import Extension, agreed_extensions, format_extensions, offered_extensions
from .headers import Headers, Origins

__all__ = [
    "AgreedDeflate",
    "ClientHandshake",
    "Extension",
    "Headers",
    "Origins",
    "PerMessageDeflate",
    "Request",
    "Response",
    "ServerHandshake",
    "accept_key",
    "agreed_extensions",
    "check_request",
    "check_response",
    "format_extensions",
    "generate_key",
    "negotiate_subprotocol",
    "offered_extensions",
    "offered_subprotocols",
    "request_headers",
    "response_headers",
]
