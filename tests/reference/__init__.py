"""Slow answers by other methods than the codec's, one line each where it can be."""
