"""MLflow's own switches: what this project enforces, and what it prefers where nobody said otherwise."""

ENFORCED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # What is printed to stdout is data.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A model's files are ours alone, not copies of whatever project file lies in the working directory.
    "MLFLOW_LOG_UV_FILES": "false",
    # The defaults wait for over an hour when a server is away.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
