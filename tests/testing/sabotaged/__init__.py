"""Backends that are the reference with one fault each, which the kit must detect.

A class is the factory of a backend, and its name is the fault. It is in the module of the topic in
hhplug/testing/topics/ whose tests detect it.
"""
