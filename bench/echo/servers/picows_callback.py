"""picows with a listener for each connection, as in its README: the payload goes back as it came, without a `str`."""

from contextlib import asynccontextmanager

from picows import WSListener, WSMsgType, ws_create_server

from .running import HOST, MAX_SIZE, MESSAGE, main, port_of


class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Fanout(WSListener):
    audience = set()  # noqa: RUF012

    def on_ws_connected(self, transport):
        self.audience.add(transport)

    def on_ws_disconnected(self, transport):
        self.audience.discard(transport)

    def on_ws_frame(self, transport, frame):
        self.audience.discard(transport)
        message = MESSAGE.encode()
        for other in self.audience:
            other.send(WSMsgType.TEXT, message)


LISTENERS = {"echo": Echo, "fanout": Fanout}


@asynccontextmanager
async def listen(mode):
    listener = LISTENERS[mode]
    server = await ws_create_server(lambda _: listener(), HOST, 0, max_frame_size=MAX_SIZE)
    async with server:
        yield port_of(server.sockets)


if __name__ == "__main__":
    main(listen)
