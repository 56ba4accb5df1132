"""Measurements of the system: each a function that returns figures, run by `./kol bench NAME`."""
