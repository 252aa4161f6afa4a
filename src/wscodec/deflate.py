"""permessage-deflate: what it is to be like, and how the two sides agree on that (RFC 7692 §7.1).

Floor 3.
"""

from __future__ import annotations

import functools
import re
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from .compression import Deflater, Engine, FreshInflater, Inflater, Setting, SharedDeflater, default_engine
from .errors import BadExtensions
from .extensions import Extension
from .frames import is_server
from .spec import Role

__all__ = ["AgreedDeflate", "DeflateParameters", "PerMessageDeflate"]

NAME: Final = "permessage-deflate"

_SERVER_TAKEOVER: Final = "server_no_context_takeover"
_CLIENT_TAKEOVER: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"

# §7.1.2: what a parameter that is not there stands for.
_MOST_BITS: Final = 15
# What zlib can inflate begins at 8, what it can deflate at 9.
_LEAST_DEFLATED_BITS: Final = 9
_SERVER_DEFAULT_BITS: Final = 12
_ZLIB_LEVEL: Final = 6
_OTHER_LEVEL: Final = 1
# §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
_BITS = re.compile(r"[89]|1[0-5]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateParameters:
    """What the two sides of a connection agreed on (RFC 7692 §7.1).

    Attributes:
        server_no_context_takeover: whether the server deflates each message by itself.
        client_no_context_takeover: whether the client does.
        server_max_window_bits: the window that the server refers back in, 8 to 15, as a power of two.
        client_max_window_bits: that of the client.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = _MOST_BITS
    client_max_window_bits: int = _MOST_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflate:
    """permessage-deflate as one side wants it.

    It can be used by any number of connections. The other side may ask for less than what stands here: smaller
    windows and no context takeover.

    Attributes:
        server_no_context_takeover: whether the server is to deflate each message by itself. It then needs no
            memory per connection: one compressor serves all those of a thread. A client asks for it, a server
            does so.
        client_no_context_takeover: whether the client is to.
        server_max_window_bits: how far back the server is to refer, 9 to 15, as a power of two. None for 12 on a
            server, and on a client for what the server likes: some servers know of no such wish and accept it
            all the same, which ends the handshake.
        client_max_window_bits: how far back the client is to. One that does not let itself be told so by a server
            uses all of 15.
        level: 0 to 9, of what we deflate: how long the compressor searches. None for 6 with zlib, and 1 with any other
            engine: who brings one wants speed, and zlib-ng's first level takes a quarter of the time of its second,
            for messages that become a quarter to a half longer.
        mem_level: 1 to 9, of what we deflate: how much memory it searches in.
        threshold: what is shorter we don't deflate; in bytes.
        background_size: from how many bytes on `await ws.send(message)` of `wscodec.asyncio` has a thread deflate the
            message, one of a few that the process has for this: 128 KiB take about 5 ms. None for never.
        engine: a module like `zlib`; None for zlib-ng where it is installed, or else zlib, whose compressors are slower
            and take a quarter of the memory.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int = 12
    level: int | None = None
    mem_level: int = 5
    threshold: int = 128
    background_size: int | None = 1 << 17
    engine: Engine | None = None

    def __post_init__(self) -> None:
        """Judge the values, those that only the engine can judge too.

        Raises:
            ValueError: one is out of range, or the engine can't deflate so.
            TypeError: one is not of its type, or the engine is no such module.
        """
        for name in (_SERVER_TAKEOVER, _CLIENT_TAKEOVER):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is True or False, not {getattr(self, name)!r}")
        if self.server_max_window_bits is not None:
            _check_range(_SERVER_BITS, self.server_max_window_bits, _LEAST_DEFLATED_BITS, _MOST_BITS)
        _check_range(_CLIENT_BITS, self.client_max_window_bits, _LEAST_DEFLATED_BITS, _MOST_BITS)
        if self.level is not None:
            _check_range("level", self.level, 0, 9)
        _check_range("mem_level", self.mem_level, 1, 9)
        _check_range("threshold", self.threshold, 0, sys.maxsize)
        if self.background_size is not None:
            _check_range("background_size", self.background_size, 0, sys.maxsize)
        _try(self._setting(_LEAST_DEFLATED_BITS))

    def offer(self) -> Extension:
        """Return what a client offers.

        It always names client_max_window_bits, without which a server could ask for no smaller window.

        RFC 7692 §7.1.
        """
        parameters: list[tuple[str, str | None]] = []
        if self.server_no_context_takeover:
            parameters.append((_SERVER_TAKEOVER, None))
        if self.client_no_context_takeover:
            parameters.append((_CLIENT_TAKEOVER, None))
        if self.server_max_window_bits is not None:
            parameters.append((_SERVER_BITS, str(self.server_max_window_bits)))
        limited = self.client_max_window_bits < _MOST_BITS
        parameters.append((_CLIENT_BITS, str(self.client_max_window_bits) if limited else None))
        return Extension(NAME, tuple(parameters))

    def accept(self, offers: Iterable[Extension]) -> tuple[Extension, DeflateParameters] | None:
        """Choose among what a client offers.

        Args:
            offers: all extensions that it offers, those that it likes best first.

        Returns:
            What to answer and what is agreed by that, for the first offer that can be accepted. None where there
            is none, and the connection is made without this extension.

        RFC 7692 §5.1, §7.1.
        """
        for offer in offers:
            if offer.name != NAME:
                continue
            try:
                return self._accept(_read(offer))
            except ValueError:
                continue  # §7.1: "a server MUST decline"
        return None

    def agree(self, answers: Iterable[Extension]) -> DeflateParameters | None:
        """Judge a server's answer to what `offer` returned.

        Args:
            answers: all extensions that the response names.

        Returns:
            What is agreed, or None where the server did not accept the offer.

        Raises:
            BadExtensions: the server names what was not offered, or answers wrongly.

        RFC 7692 §5.1, §7.1; RFC 6455 §4.1.
        """
        agreed = None
        for answer in answers:
            if answer.name != NAME:
                raise BadExtensions(f"the server uses an extension that was not offered: {answer.name}", 101)
            if agreed is not None:
                raise BadExtensions(f"the server accepts {NAME} twice", 101)
            try:
                agreed = self._agree(_read(answer))
            except ValueError as error:
                raise BadExtensions(f"{NAME}: {error}", 101) from error
        return agreed

    def deflater(self, role: Role, parameters: DeflateParameters) -> Deflater:
        """Return what deflates the messages that we, being `role`, send on one connection."""
        if is_server(role):
            kept_out, bits = parameters.server_no_context_takeover, parameters.server_max_window_bits
        else:
            kept_out, bits = parameters.client_no_context_takeover, parameters.client_max_window_bits
        kind = SharedDeflater if kept_out else Deflater
        return kind(self._setting(bits), self.threshold)

    def inflater(self, role: Role, parameters: DeflateParameters) -> Inflater:
        """Return what inflates the messages that we, being `role`, receive on one connection."""
        if is_server(role):
            kept_out, bits = parameters.client_no_context_takeover, parameters.client_max_window_bits
        else:
            kept_out, bits = parameters.server_no_context_takeover, parameters.server_max_window_bits
        kind = FreshInflater if kept_out else Inflater
        return kind(self._engine(), bits)

    def _accept(self, offer: _Named) -> tuple[Extension, DeflateParameters]:
        """Return the answer to an offer and what it means; ValueError where there is none but to decline."""
        if offer.get(_SERVER_BITS, _MOST_BITS) is None:
            raise ValueError(f"{_SERVER_BITS} has a value")
        agreed = DeflateParameters(
            server_no_context_takeover=self.server_no_context_takeover or _SERVER_TAKEOVER in offer,
            client_no_context_takeover=self.client_no_context_takeover or _CLIENT_TAKEOVER in offer,
            server_max_window_bits=min(
                self.server_max_window_bits or _SERVER_DEFAULT_BITS, offer.get(_SERVER_BITS) or _MOST_BITS
            ),
            # §7.1.2.2: a client that does not name it must not be told.
            client_max_window_bits=min(
                self.client_max_window_bits if _CLIENT_BITS in offer else _MOST_BITS,
                offer.get(_CLIENT_BITS) or _MOST_BITS,
            ),
        )
        if agreed.server_max_window_bits < _LEAST_DEFLATED_BITS:
            raise ValueError("zlib deflates in windows of 9 bits and more")
        return _answer(agreed, offer), agreed

    def _agree(self, answer: _Named) -> DeflateParameters:
        """Return what an answer means; ValueError for one that the client must not take."""
        for name in (_SERVER_BITS, _CLIENT_BITS):
            if answer.get(name, _MOST_BITS) is None:
                raise ValueError(f"{name} has no value")
        agreed = DeflateParameters(
            server_no_context_takeover=_SERVER_TAKEOVER in answer,
            client_no_context_takeover=self.client_no_context_takeover or _CLIENT_TAKEOVER in answer,
            server_max_window_bits=answer.get(_SERVER_BITS) or _MOST_BITS,
            client_max_window_bits=min(self.client_max_window_bits, answer.get(_CLIENT_BITS) or _MOST_BITS),
        )
        if self.server_no_context_takeover and not agreed.server_no_context_takeover:
            raise ValueError(f"{_SERVER_TAKEOVER} was asked for")
        if agreed.server_max_window_bits > (self.server_max_window_bits or _MOST_BITS):
            raise ValueError(f"{_SERVER_BITS} is larger than was asked for")
        if agreed.client_max_window_bits < _LEAST_DEFLATED_BITS:
            raise ValueError(f"{_CLIENT_BITS}: zlib deflates in windows of 9 bits and more")
        return agreed

    def _engine(self) -> Engine:
        return default_engine() if self.engine is None else self.engine

    def _setting(self, window_bits: int) -> Setting:
        engine: Any = self._engine()  # a module, hence hashable
        level = (_ZLIB_LEVEL if engine is zlib else _OTHER_LEVEL) if self.level is None else self.level
        return _shared_setting(engine, window_bits, level, self.mem_level)


@functools.lru_cache
def _shared_setting(engine: Any, window_bits: int, level: int, mem_level: int) -> Setting:
    """Return the one setting of all connections that compress alike."""
    return Setting(engine, window_bits, level, mem_level)


@dataclass(frozen=True, slots=True)
class AgreedDeflate:
    """permessage-deflate as a handshake agreed on it: what a `Connection` needs to know.

    Attributes:
        wanted: how we want it.
        parameters: what the two sides agreed on.
    """

    wanted: PerMessageDeflate
    parameters: DeflateParameters

    @property
    def background_size(self) -> int:
        """From how many bytes on a message takes long to deflate; above all sizes where none does."""
        wanted = self.wanted
        return sys.maxsize if wanted.background_size is None else max(wanted.background_size, wanted.threshold)

    def deflater(self, role: Role) -> Deflater:
        """Return what deflates the messages that we, being `role`, send on one connection."""
        return self.wanted.deflater(role, self.parameters)

    def inflater(self, role: Role) -> Inflater:
        """Return what inflates the messages that we, being `role`, receive on one connection."""
        return self.wanted.inflater(role, self.parameters)


# The parameters of an offer or an answer by name: the bits, or None where there is no value.
_Named = dict[str, int | None]


def _read(extension: Extension) -> _Named:
    """Return the parameters of an offer or of an answer; ValueError for one that neither may have (§7.1)."""
    named: _Named = {}
    for name, value in extension.parameters:
        if name in named:
            raise ValueError(f"{name} is there twice")
        if name in (_SERVER_TAKEOVER, _CLIENT_TAKEOVER):
            if value is not None:
                raise ValueError(f"{name} has no value")
            named[name] = None
        elif name in (_SERVER_BITS, _CLIENT_BITS):
            named[name] = None if value is None else _read_bits(name, value)
        else:
            raise ValueError(f"{name} is no parameter of it")
    return named


def _read_bits(name: str, value: str) -> int:
    # Not `int` alone, which knows more numerals than the RFC does.
    if _BITS.fullmatch(value) is None:
        raise ValueError(f"{name} is 8 to 15")
    return int(value)


def _answer(agreed: DeflateParameters, offer: _Named) -> Extension:
    """Return the answer that says what is agreed: what was asked for, and what differs from the default."""
    parameters: list[tuple[str, str | None]] = []
    if agreed.server_no_context_takeover:
        parameters.append((_SERVER_TAKEOVER, None))
    if agreed.client_no_context_takeover:
        parameters.append((_CLIENT_TAKEOVER, None))
    if agreed.server_max_window_bits < _MOST_BITS or _SERVER_BITS in offer:
        parameters.append((_SERVER_BITS, str(agreed.server_max_window_bits)))
    if agreed.client_max_window_bits < _MOST_BITS or offer.get(_CLIENT_BITS) is not None:
        parameters.append((_CLIENT_BITS, str(agreed.client_max_window_bits)))
    return Extension(NAME, tuple(parameters))


def _check_range(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {type(value).__name__!r}")
    if not least <= value <= most:
        raise ValueError(f"{name} is {least} to {most}, not {value}")


def _try(setting: Setting) -> None:
    """Raise what is wrong with a setting now, rather than with the first message."""
    try:
        setting.compressor()
    except AttributeError as error:
        raise TypeError(f"not a module like zlib: {setting.engine!r}") from error
    except Exception as error:
        raise ValueError(f"{setting.engine!r} can't deflate at level {setting.level}: {error}") from error
