"""From the description of a membrane to the operations of a step, which backends print."""
