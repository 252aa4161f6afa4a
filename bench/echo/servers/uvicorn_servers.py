"""Uvicorn with an ASGI application: the very same code on all of its WebSocket classes."""

import asyncio
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.importer import import_from_string

from .running import HOST, MAX_SIZE, port_of


async def echo(scope, receive, send):
    """Send every message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def listening(ws):
    """Return the `listen` of a server with that class."""

    @asynccontextmanager
    async def listen(mode):
        if mode != "echo":
            raise NotImplementedError("there is no broadcast in ASGI")
        config = uvicorn.Config(
            echo,
            host=HOST,
            port=0,
            ws=import_from_string(ws),
            ws_per_message_deflate=False,
            ws_max_size=MAX_SIZE,
            lifespan="off",
            log_level="warning",
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield port_of(server.servers[0].sockets)
        await task

    return listen
