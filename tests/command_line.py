"""The command line, run in this process."""

import pytest

from hhplug import cli

SHORT = ["run", "--neurons", "7", "--duration", "80"]


@pytest.fixture
def hhplug(capsys):
    """Run the program; return its exit code, standard output and standard error."""

    def run(*arguments):
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:  # argparse
            code = exit_.code
        return (code, *capsys.readouterr())

    return run
