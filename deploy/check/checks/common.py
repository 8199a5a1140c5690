"""What all checks share: contracts, and telling faults."""

import json
import os
import subprocess
import sys
from pathlib import Path


class Faults:
    """Gathers what is wrong, so that all of it is told at once."""

    def __init__(self):
        self.lines = []

    def add(self, where, what):
        self.lines.append(f"{where}: {what}")

    def unless(self, holds, where, what):
        if not holds:
            self.add(where, what)

    def tool(self, *command):
        """Runs a linter; what it says is a fault if it is not content."""
        found = Path(sys.executable).parent / command[0]
        done = subprocess.run([found, *command[1:]], capture_output=True, text=True)
        if done.returncode != 0:
            self.add(command[0], (done.stdout + done.stderr).strip())

    def exit(self):
        for line in self.lines:
            print(line)
        sys.exit(1 if self.lines else 0)


def contracts():
    """The contracts by service."""
    return {contract["service"]: contract for contract in listed() if contract["ports"]["api"]}


def tasks():
    """The contracts of what is run as a task and ends, by name."""
    return {contract["service"]: contract for contract in listed() if not contract["ports"]["api"] and "function" not in contract}


def functions():
    """The contracts of what AWS Lambda runs, by name."""
    return {contract["service"]: contract for contract in listed() if "function" in contract}


def listed():
    return json.loads(Path(os.environ["STEELYARD_CONTRACTS"]).read_text())


def dead_letters_of(queue):
    """The name of a queue's dead-letter queue."""
    return f"{queue.removesuffix('.fifo')}-dead-letters{'.fifo' if queue.endswith('.fifo') else ''}"


def settings(contract):
    """What a service reads, by name."""
    return {setting["name"]: setting for setting in contract["settings"]}
