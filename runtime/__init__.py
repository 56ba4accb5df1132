"""The doors to the outside: settings, Spark, lake, topics, broker, jars, locks, processes, clock and logs."""
