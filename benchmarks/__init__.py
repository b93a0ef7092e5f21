"""asv benchmarks of the speed and accuracy of every backend, with one file for each topic."""
