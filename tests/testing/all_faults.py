"""All faults that are planted."""

from faults import FAULTS
from faults_of_corners import OF_CORNERS
from faults_of_laws import OF_LAWS
from faults_of_methods import OF_METHODS
from faults_of_processes import OF_PROCESSES
from faults_of_variety import OF_VARIETY

ALL_FAULTS = [*OF_LAWS, *FAULTS, *OF_PROCESSES, *OF_METHODS, *OF_VARIETY, *OF_CORNERS]
