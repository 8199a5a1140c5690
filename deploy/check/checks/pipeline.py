"""The workflows: GitHub's schema for them, and zizmor for what an attacker would look for."""

from pathlib import Path

from .common import Faults


def main():
    faults = Faults()
    files = sorted(str(path) for path in Path(".github/workflows").glob("*.yaml"))
    faults.tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    faults.tool("zizmor", "--offline", "--no-progress", *files)
    faults.exit()


if __name__ == "__main__":
    main()
