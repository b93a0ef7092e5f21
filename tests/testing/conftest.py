"""Fixtures that the tests of the kit share."""

from kit_bench import bench as bench
