"""`./kol doctor`: what is well, what is not, why, and the one command that mends it."""
