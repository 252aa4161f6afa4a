"""A server under good and bad peers at once: the good ones must not notice, and nothing of the others may stay."""
