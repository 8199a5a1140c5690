"""The Dockerfile: hadolint, and what the services need of an image."""

import tomllib
from pathlib import Path

from . import dockerfile
from .common import Faults, contracts, functions

# SQS for one machine: an image, but no service with a contract.
OTHERS = {"localsqs": [9324]}
# Targets of functions, by the names of their contracts. Lambda asks nobody for health, and nothing listens.
FUNCTIONS = {"documents-import-function": "documents-import"}
LABELS = ["source", "licenses", "version", "revision", "title"]


def check_target(stage, name, ports, faults):
    program = f"/usr/local/bin/{name}"
    check_program(stage, name, program, ports, faults)
    health = stage.last("HEALTHCHECK")
    faults.unless(
        health and dockerfile.exec_form(health) == [program, "healthcheck"],
        f"Dockerfile: {name}",
        "HEALTHCHECK must call the program's own healthcheck: there is no shell and no curl",
    )


def check_program(stage, name, program, ports, faults):
    where = f"Dockerfile: {name}"
    entry = stage.last("ENTRYPOINT")
    faults.unless(
        entry and dockerfile.exec_form(entry) == [program],
        where,
        f'ENTRYPOINT must be ["{program}"]: a shell in between would keep SIGTERM from the process',
    )
    user = (stage.last("USER") or "").split(":")[0]
    faults.unless(user.isdigit() and int(user) > 0, where, "USER must be a number that is not root's")
    exposed = sorted(int(port) for line in stage.all("EXPOSE") for port in line.split())
    faults.unless(exposed == sorted(ports), where, f"EXPOSE must name {sorted(ports)}, but names {exposed}")
    labels = " ".join(stage.all("LABEL"))
    for label in LABELS:
        faults.unless(f"org.opencontainers.image.{label}=" in labels, where, f"has no label {label}")


def check_toolchain(stages, toolchain, faults):
    base = stages["chef"].base
    faults.unless(
        base.startswith(f"rust:{toolchain}-"), "Dockerfile", f"builds with {base}, and rust-toolchain.toml wants {toolchain}"
    )


def check_context(ignored, members, faults):
    """Everything that the build reads is sent to it."""
    kept = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    for path in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "deploy/image", *members]:
        parts = path.removesuffix("/*").split("/")
        prefixes = {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
        faults.unless(prefixes & kept, ".dockerignore", f"keeps {path} from the build")


def main():
    faults = Faults()
    faults.tool("hadolint", "Dockerfile")
    stages = dockerfile.parse(Path("Dockerfile").read_text())
    toolchain = tomllib.loads(Path("rust-toolchain.toml").read_text())["toolchain"]["channel"]
    check_toolchain(stages, toolchain, faults)
    members = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["members"]
    check_context(Path(".dockerignore").read_text(), members, faults)
    targets = {name: list(contract["ports"].values()) for name, contract in contracts().items()} | OTHERS
    for name, ports in targets.items():
        if name in stages:
            check_target(stages[name], name, ports, faults)
        else:
            faults.add("Dockerfile", f"has no target {name}")
    for contract in functions():
        name = FUNCTIONS[contract]
        if name in stages:
            check_program(stages[name], name, "/usr/local/bin/bootstrap", [], faults)
        else:
            faults.add("Dockerfile", f"has no target {name}")
    faults.exit()


if __name__ == "__main__":
    main()
