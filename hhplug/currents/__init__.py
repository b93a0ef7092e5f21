"""Currents over time: what users write, and what backends see."""
