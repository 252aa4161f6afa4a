"""An echo with FastAPI: a message comes back as it was sent."""

from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)
