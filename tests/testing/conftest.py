"""Fixtures that the tests of the kit share."""

from few_tests import few_tests as few_tests
from kit_bench import bench as bench
