"""`python -m bench.dropins.gevent_websocket`: an echo server on gevent-websocket with the drop-in and without."""

from __future__ import annotations

import argparse

from ..table import align
from .echoing import costs

LOADS = [(32, 1), (1024, 1), (65_536, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dropins.gevent_websocket", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    options = parser.parse_args()
    rows = costs(
        "us per message, gevent-websocket", "bench.dropins.gevent_echo", LOADS, options.rounds, options.seconds
    )
    print("\n".join(align(list(rows))))


if __name__ == "__main__":
    main()
