"""Faults that a backend may have, and the tests of the suite that detect each."""

from faults_of_processes import OF_PROCESSES
from faults_of_results import OF_RESULTS
from faults_of_varied_problems import OF_VARIED_PROBLEMS

FAULTS = [*OF_RESULTS, *OF_VARIED_PROBLEMS, *OF_PROCESSES]
