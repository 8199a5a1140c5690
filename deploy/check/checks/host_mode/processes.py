"""Processes that end with this one."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager

START_SECONDS_MAX = 180


class Process:
    def __init__(self, name, command, env, logs, cwd=None):
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("wb") as log:
            # A group of its own: a Ctrl-C is for the runner, which stops everything in order.
            self.child = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd, start_new_session=True
            )

    def wait_until(self, ready, seconds_max=START_SECONDS_MAX):
        """Waits until `ready()` is true, and gives up when the process ends or the time is over."""
        deadline = time.monotonic() + seconds_max
        while not ready():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} has ended:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready after {seconds_max} s:\n{self.tail()}")
            time.sleep(0.1)

    def stop(self, seconds_max, how=signal.SIGTERM):
        """Asks it to end and gives its exit code and how long it took; after `seconds_max` it is killed."""
        began = time.monotonic()
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            code = self.child.wait(seconds_max)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            code = None
        return code, time.monotonic() - began

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def running(started):
    """Whatever is in the list at the end is stopped, last first."""
    try:
        yield started
    finally:
        for process in reversed(started):
            process.stop(30)
