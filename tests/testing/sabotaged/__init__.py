"""Backends with one fault each, for the kit to catch: the reference in all else.

The name of a class is its fault, and the class the factory of a backend. It stands in the module
of the topic, as in hhplug/testing/topics/, whose tests are there for it.
"""
