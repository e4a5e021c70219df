"""Which signals stop a run, and which thread handles them."""

import concurrent.futures
import signal

from jaxgan.common.stop_signals import StopSignals


def test_signals_of_a_lost_terminal_and_of_slurm_are_noted_too():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # The tests may run under nohup.
    try:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            with StopSignals() as stop:
                signal.raise_signal(number)
                assert stop.asked == number
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.asked == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_leaves_signals_to_the_main_one():
    before = signal.getsignal(signal.SIGTERM)

    def handler_inside():
        with StopSignals():
            return signal.getsignal(signal.SIGTERM)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler_inside).result() is before
