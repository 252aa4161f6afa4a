"""Uvicorn with its class on the sans-I/O layer of `websockets`."""

from .running import main
from .uvicorn_servers import listening

if __name__ == "__main__":
    main(listening("uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"))
