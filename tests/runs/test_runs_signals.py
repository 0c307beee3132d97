import os
import signal
import subprocess
import sys
import threading

import pytest

from hornbook.errors import Interrupted
from hornbook.runs.signals import StopSignal


def test_a_bare_stop_signal_is_never_requested() -> None:
    stop = StopSignal()
    stop.check()
    assert not stop.requested


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_second_falls_through(
    number: signal.Signals, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    got: list[int] = []
    before = signal.signal(number, lambda number, frame: got.append(number))
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), number)
            assert stop.requested
            assert got == []
            with pytest.raises(Interrupted) as caught:
                stop.check()
            assert caught.value.exit_code == code
            os.kill(os.getpid(), number)
            assert got == [number]
    finally:
        signal.signal(number, before)
    assert "Stopping" in capfd.readouterr().err


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignal() as stop:
        assert signal.getsignal(signal.SIGINT) != before[0]
        assert not stop.requested
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_it_hears_nothing_but_works() -> None:
    found: list[bool] = []

    def work() -> None:
        with StopSignal() as stop:
            stop.check()
            found.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_second_ctrl_c_ends_a_real_process() -> None:
    script = """
import os, signal, sys
from hornbook.runs.signals import StopSignal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
with StopSignal() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    print("asked", stop.requested, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("not reached")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "asked True\n"
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode == -signal.SIGINT
