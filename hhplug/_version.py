"""The version of hhplug, also for a copy that isn't installed and has no metadata."""

__version__ = "0.1.0"
