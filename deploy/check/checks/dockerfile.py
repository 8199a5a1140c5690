"""Reads a Dockerfile as far as the checks need it."""

import json
import re


class Stage:
    """One `FROM … AS name`, with what it has of the stages it is made from."""

    def __init__(self, base, name, parent):
        self.base = base
        self.name = name
        self.instructions = list(parent.instructions) if parent else []

    def all(self, instruction):
        return [value for name, value in self.instructions if name == instruction]

    def last(self, instruction):
        found = self.all(instruction)
        return found[-1] if found else None


def parse(text):
    """The stages by name."""
    text = re.sub(r"(?m)^\s*#.*\n", "", text)
    text = text.replace("\\\n", " ")
    stages = {}
    stage = None
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, value = line.partition(" ")
        instruction, value = instruction.upper(), value.strip()
        if instruction == "FROM":
            base, _, name = re.sub(r"--platform=\S+\s+", "", value).partition(" AS ")
            stage = Stage(base, name.strip(), stages.get(base))
            stages[stage.name or base] = stage
        elif stage:
            stage.instructions.append((instruction, value))
    return stages


def exec_form(value):
    """The arguments of an exec-form instruction; None if it is a shell's."""
    try:
        words = json.loads(value[value.index("["):])
    except ValueError:
        return None
    return words if all(isinstance(word, str) for word in words) else None
