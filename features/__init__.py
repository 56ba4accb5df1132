"""The words and the arithmetic: the KOL event, the raw profile, the 29 features, the score. No I/O, no Spark."""
