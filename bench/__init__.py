"""Measures wscodec against the WebSocket libraries that Python has: `python -m bench`."""
