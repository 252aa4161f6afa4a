"""An echo with Quart: a message comes back as it was sent."""

from quart import Quart, websocket

app = Quart(__name__)


@app.websocket("/")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())
