import os
import signal
import subprocess
import sys
import time

import pytest

from kgml_jax.runs.interruption import Interrupted, Interruption


def send(number, interruption, times=1):
    with interruption.listening():
        for _ in range(times):
            os.kill(os.getpid(), number)
            time.sleep(0.1)
        time.sleep(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_is_not_worth_keeping_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as ended:
        send(number, Interruption())
    assert ended.value.status == 128 + number
    assert signal.getsignal(number) is before


class Collected:
    """Whose end is interrupted, as the collector's callbacks may be: no exception leaves it."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)


def collect(interruption):
    with interruption.listening():
        Collected()
        time.sleep(10)


def test_a_signal_in_a_callback_that_no_exception_leaves_is_not_lost():
    began = time.monotonic()
    with pytest.raises(Interrupted):
        collect(Interruption())
    assert time.monotonic() - began < 4


def test_a_signal_waits_for_the_end_of_a_round():
    interruption = Interruption()
    with interruption.listening(), interruption.held():
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not interruption.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert interruption.asked
        with pytest.raises(Interrupted):
            interruption.leave()


def test_a_second_signal_does_not_wait():
    interruption = Interruption()
    with pytest.raises(Interrupted), interruption.held():
        send(signal.SIGTERM, interruption, times=2)


# Python answers a signal between two of its own instructions: a key that is derived for minutes
# stands for a compilation.
STUCK = """
import hashlib, sys
from kgml_jax.runs.interruption import INTERRUPTION
INTERRUPTION.advice = "give the same command again"
say = lambda line: print(line, file=sys.stderr, flush=True)
with INTERRUPTION.listening(say, grace=0.2), INTERRUPTION.held():
    print("stuck", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**30)
"""


def test_a_process_stuck_in_compiled_code_is_ended_and_says_how_to_go_on():
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert said == "stopped by SIGTERM; give the same command again\n"
