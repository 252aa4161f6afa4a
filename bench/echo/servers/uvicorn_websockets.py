"""Uvicorn with its class on `websockets`."""

from .running import main
from .uvicorn_servers import listening

if __name__ == "__main__":
    main(listening("uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol"))
