"""Find the backends that plugins offer, choose one, or write a new plugin."""
