"""`python -m hhplug` runs the program `hhplug`."""

from hhplug.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
