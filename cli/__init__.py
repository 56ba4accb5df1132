"""The verbs of `./kol`."""
