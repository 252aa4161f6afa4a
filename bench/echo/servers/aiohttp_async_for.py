"""aiohttp, its web server."""

from contextlib import asynccontextmanager

from aiohttp import web

from .running import HOST, MAX_SIZE, main


async def echo(request):
    ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_SIZE)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


@asynccontextmanager
async def listen(mode):
    if mode != "echo":
        raise NotImplementedError("there is no broadcast in aiohttp")
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    yield runner.addresses[0][1]


if __name__ == "__main__":
    main(listen)
