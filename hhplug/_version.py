"""The version of hhplug, which a copy without metadata knows too."""

__version__ = "0.1.0"
