"""Speed and accuracy of every backend, a topic a file, for airspeed velocity."""
