"""JSON messages of about 600 bytes, made from a fixed seed."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

TEXT = """the order was sent to your address and will arrive on monday we could not reach the seller please check
payment details before noon thanks for waiting our team is looking into it nothing else is needed from you"""
WORDS = TEXT.split()


def messages(count: int, seed: int = 7692) -> list[bytes]:
    """Return events as an application would send them: the same keys, values that differ."""
    source = random.Random(seed)
    return [json.dumps(message(source, index)).encode() for index in range(count)]


def message(source: random.Random, index: int) -> dict[str, Any]:
    """Return one event."""
    return {
        "id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
        "type": source.choice(["order.created", "order.updated", "message.posted", "user.joined"]),
        "sequence": 184_000 + index,
        "timestamp": timestamp(source),
        "user": {
            "id": source.randrange(10**6),
            "name": source.choice(["Ada", "Grace", "Linus", "Barbara", "Ken"]) + str(source.randrange(100)),
            "avatar": f"https://cdn.example.com/avatars/{source.getrandbits(64):016x}.png",
            "roles": source.sample(["admin", "editor", "reader", "billing"], 2),
        },
        "items": [
            {"sku": f"A-{source.randrange(10**5):05}", "quantity": source.randrange(1, 9), "price": money(source)}
            for _ in range(source.randrange(1, 4))
        ],
        "text": " ".join(source.choices(WORDS, k=source.randrange(12, 30))),
        "seen": source.random() < 0.5,
        "parent": None,
        "links": {"self": f"/api/v2/events/{184_000 + index}", "next": f"/api/v2/events/{184_001 + index}"},
    }


def timestamp(source: random.Random) -> str:
    """Return some moment of a month."""
    day, hour, minute = source.randrange(1, 29), source.randrange(24), source.randrange(60)
    return f"2026-03-{day:02}T{hour:02}:{minute:02}:07.{source.randrange(1000):03}Z"


def money(source: random.Random) -> float:
    return source.randrange(100, 99_999) / 100
