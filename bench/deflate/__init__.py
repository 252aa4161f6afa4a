"""permessage-deflate: what its settings save and cost, and whole connections beside `websockets`."""
