"""Handlers for all that has the interface of `websockets`: the very same code runs on three libraries."""


async def echo(ws):
    """Send every message back."""
    async for message in ws:
        await ws.send(message)


def fanout(broadcast, message):
    """Return a handler: whoever says something makes all others get `message`."""
    audience = set()

    async def handler(ws):
        audience.add(ws)
        try:
            async for _ in ws:
                audience.discard(ws)
                broadcast(audience, message)
        finally:
            audience.discard(ws)

    return handler
