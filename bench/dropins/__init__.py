"""What the drop-ins change: the same host with and without ours."""
