"""The speed layer: events in, scores and rejects out, and everything landed in the lake."""
