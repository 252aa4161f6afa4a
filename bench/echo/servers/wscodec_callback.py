"""wscodec with a callback for the messages of each read."""

from contextlib import asynccontextmanager

from wscodec.asyncio import serve

from .running import HOST, MAX_SIZE, MESSAGE, main, port_of
from .wscodec_async_for import send_to_each

try:
    from wscodec.asyncio import broadcast
except ImportError:
    broadcast = send_to_each


def echo(ws, messages):
    ws.send_many(messages)


def fanout(audience):
    def on_messages(ws, messages):
        audience.discard(ws)
        broadcast(audience, MESSAGE)

    return {"on_messages": on_messages, "on_open": audience.add, "on_close": audience.discard}


@asynccontextmanager
async def listen(mode):
    callbacks = {"on_messages": echo} if mode == "echo" else fanout(set())
    async with serve(None, HOST, 0, compression=None, max_size=MAX_SIZE, **callbacks) as server:
        yield port_of(server.sockets)


if __name__ == "__main__":
    main(listen)
