"""The result of a run: data, analysis, plots, files."""
