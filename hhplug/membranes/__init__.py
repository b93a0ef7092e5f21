"""Membranes: how they are described, and a library of published ones.

`squid` is the default of every run. The others are loaded when they are first used.
"""

from hhplug.membranes.squid import squid as squid
