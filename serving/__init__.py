"""The serving layer: two views, one merged answer, and scores on demand. No JVM, no pyspark, no mlflow."""
