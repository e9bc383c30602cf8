"""A process that is asked to end: by Ctrl-C, a batch system, or a machine that is taken away.

It is asked once and ends within seconds: at once where nothing would be lost, after the round it is
in where that is worth keeping, and by force where a round or a compilation takes too long.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

GRACE = 5.0
"""Seconds a process that was asked to end may take before it is ended."""


class Interrupted(BaseException):
    """The process was asked to end. Not an `Exception`: nobody goes on after it.

    Attributes:
      number: of the signal; the exit status is 128 more, as shells have it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status of the process."""
        return 128 + self.number


class Interruption:
    """Whether the process was asked to end, and what is said when it does."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.advice = ""
        """How to go on, said at the end."""
        self._held = 0
        self._answered = False
        self._ended = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether the process should end."""
        return self.number is not None

    def leave(self) -> NoReturn:
        """Ends what is going on.

        Raises:
          Interrupted: always.
        """
        raise Interrupted(self.number or signal.SIGTERM)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, the process ends where `asked` is looked at, not wherever it is."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @contextmanager
    def listening(
        self, say: Callable[[str], None] = lambda line: None, grace: float = GRACE
    ) -> Iterator["Interruption"]:
        """Within, signals that ask the process to end are answered as the module says.

        Args:
          say: takes the last line of a process that is ended by force.
          grace: seconds it has until then.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self  # Python answers signals in the main thread alone.
            return
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(end is reader)
        before = {number: signal.signal(number, self._answer) for number in SIGNALS}
        # The file descriptor is written to even while the main thread is in compiled code.
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        hook, sys.unraisablehook = sys.unraisablehook, self._again_or(sys.unraisablehook)
        self._ended.clear()
        watcher = threading.Thread(target=self._force, args=(reader, say, grace), daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            self._ended.set()
            signal.set_wakeup_fd(descriptor)
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)
            writer.close()
            watcher.join()
            reader.close()
            self.number, self._answered, self.advice = None, False, ""

    def _answer(self, number: int, frame: object) -> None:
        again, self._answered, self.number = self._answered, True, number
        if again or not self._held:
            raise Interrupted(number)

    def _again_or(self, hook: Callable[[Any], object]) -> Callable[[Any], object]:
        """Asks again where the answer was raised in a callback that no exception leaves."""

        def answer(failed: Any) -> None:
            if isinstance(failed.exc_value, Interrupted):
                again = (os.getpid(), failed.exc_value.number)
                threading.Timer(0.05, os.kill, again).start()
            else:
                hook(failed)

        return answer

    def _force(self, reader: socket.socket, say: Callable[[str], None], grace: float) -> None:
        while heard := reader.recv(1):
            number = heard[0]
            if number not in SIGNALS:
                continue
            if self.number is None:
                self.number = number
            if not self._ended.wait(grace):
                say(self.farewell(number))
                os._exit(128 + number)
            return

    def farewell(self, number: int) -> str:
        """Returns what is said at the end."""
        name = signal.Signals(number).name
        return f"stopped by {name}" + (f"; {self.advice}" if self.advice else "")


INTERRUPTION = Interruption()
"""Of this process: signals are its own, not a function's."""
