"""Uvicorn with the class of `wscodec.dropin.uvicorn`."""

from .running import main
from .uvicorn_servers import listening

if __name__ == "__main__":
    main(listening("wscodec.dropin.uvicorn:WebSocketProtocol"))
