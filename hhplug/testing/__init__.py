"""What certifies a backend. Never imported by `hhplug` itself."""
