"""The batch layer: the nightly truth, from the landed events to published features and scores."""
