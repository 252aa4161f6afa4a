"""All targets by name."""

from __future__ import annotations

import fuzz_channel
import fuzz_deflate
import fuzz_handshake
import fuzz_openings
import fuzz_peers
import fuzz_targets

TARGETS = {
    target.__name__: target
    for module in (fuzz_targets, fuzz_channel, fuzz_deflate, fuzz_handshake, fuzz_openings, fuzz_peers)
    for target in module.TARGETS
}
