"""All targets by name."""

from __future__ import annotations

import fuzz_deflate
import fuzz_targets

TARGETS = {target.__name__: target for module in (fuzz_targets, fuzz_deflate) for target in module.TARGETS}
