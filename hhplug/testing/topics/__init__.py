"""The tests of the suite, one topic per module.

The fixture `kit` runs a test once for each precision that the backend declares.
"""
