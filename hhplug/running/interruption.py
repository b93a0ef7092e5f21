"""Delay Ctrl-C until the steps that a run has done are in a Result."""

import signal
import threading
from types import FrameType


class Interruption:
    """A context manager. From `hold` to the end of the context, the first SIGINT sets `pending`.

    A second SIGINT raises KeyboardInterrupt at once. An exception that ends the context after the
    first SIGINT becomes the cause of a KeyboardInterrupt. `hold` does nothing in a thread other
    than the main one, or if SIGINT has another handler than Python's own.
    """

    def __init__(self):
        self.pending = False
        self._holding = False

    def hold(self) -> None:
        """Handle SIGINT until the context ends."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._holding = True
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            self._release()  # before raising, since SIGINT may arrive in __exit__ itself
            signal.default_int_handler(number, frame)
        self.pending = True

    def _release(self) -> None:
        if self._holding:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._holding = False

    def __enter__(self) -> "Interruption":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._release()
        if self.pending and error and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
