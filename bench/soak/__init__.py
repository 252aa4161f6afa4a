"""A server under a modest load for a long time: what it must not do is grow."""
