"""Features of spikes and of V, computed while a run goes on."""
