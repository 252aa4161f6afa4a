"""picows with a listener that makes a `str` of each message, as wscodec does for its callback."""

from picows import WSMsgType

from .picows_callback import LISTENERS, Echo, listen
from .running import main


class TextEcho(Echo):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_utf8_text())
        else:
            super().on_ws_frame(transport, frame)


LISTENERS["echo"] = TextEcho

if __name__ == "__main__":
    main(listen)
