"""The models: training, packaging, versions and stages, and the kernel that scores."""
