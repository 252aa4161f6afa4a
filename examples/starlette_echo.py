"""An echo with Starlette: a message comes back as it was sent."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)


app = Starlette(routes=[WebSocketRoute("/", echo)])
