"""docker-compose.yml: the compose specification, and what each service says it needs."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from .common import Faults, contracts, settings
from .compose_file import dotenv, interpolate, load, seconds, variables

# Read by the AWS SDK itself, in the services that talk to AWS.
SDK = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"}
# Read by COMPOSE, not by the file.
COMPOSE = {"COMPOSE_PROFILES"}
# Between the service's own end and the platform's kill.
STOP_SLACK_SECONDS = 5
# For those who are outside of the file: who issues tokens, where browsers get images, and customers their documents.
ELSEWHERE = {"AUTH_ISSUER", "MEDIA_BASE_URL", "S3_PUBLIC_URL"}
# URLs of peers, with the service that they must lead to.
PEERS = {"CATALOG_URL": "catalog", "ORDERS_URL": "orders", "DOCUMENTS_URL": "documents"}


def check_settings(name, written, contract, faults):
    """Everything that is required is set, nothing is set that nobody reads, and no secret stands in the file."""
    where = f"docker-compose.yml: {name}"
    known = settings(contract)
    allowed = set(known) | (SDK if contract["queues"] or contract["buckets"] else set())
    for setting in known.values():
        value = written.get(setting["name"], "")
        faults.unless(value or not setting["required"], where, f"{setting['name']} is not set, and {name} needs it")
        if setting["secret"] and value and not variables(value):
            literal = urlsplit(value)
            open_door = literal.scheme and not literal.password
            faults.unless(open_door, where, f"{setting['name']} is a secret and must come from .env")
    for variable in sorted(set(written) - allowed):
        faults.add(where, f"{variable} is set, and {name} does not read it")


def check_runtime(name, service, contract, faults):
    """What the service needs of the engine that runs it."""
    where = f"docker-compose.yml: {name}"
    faults.unless(service.get("read_only") is True, where, "the file system must be read-only")
    faults.unless(service.get("cap_drop") == ["ALL"], where, "all capabilities must be dropped")
    stop = seconds(service.get("stop_grace_period", "10s"))
    needed = contract["stop_seconds_max"] + STOP_SLACK_SECONDS
    faults.unless(stop >= needed, where, f"stop_grace_period is {stop} s, and {name} may take {needed} s")
    test = service.get("healthcheck", {}).get("test")
    expected = ["CMD", f"/usr/local/bin/{name}", "healthcheck"]
    faults.unless(test == expected, where, f"the health check must be {expected}")
    faults.unless(service.get("build", {}).get("target") == name, where, "must be built from the target of its name")


def check_peers(name, environment, compose, known, faults):
    """Every URL leads to a part of this file, on the port where that listens."""
    where = f"docker-compose.yml: {name}"
    for variable, value in environment.items():
        url = urlsplit(str(value))
        if not url.scheme or not url.hostname or "//" not in str(value) or variable in ELSEWHERE:
            continue
        faults.unless(url.hostname in compose["services"], where, f"{variable} leads to {url.hostname}, which is not here")
        peer = PEERS.get(variable)
        if peer:
            expected = f"http://{peer}:{known[peer]['ports']['api']}"
            faults.unless(value == expected, where, f"{variable} must be {expected}")


# What no health check is made for: a step that ends, and an image with nothing in it that could ask.
UNASKED = {"queues-and-buckets", "collector"}


def check_everything_else(compose, faults):
    """Pinned images, health before start, ports for this machine only."""
    for name, service in compose["services"].items():
        where = f"docker-compose.yml: {name}"
        tag = str(service["image"]).rpartition(":")[2] if ":" in service["image"] else ""
        pinned = tag and tag != "latest" and re.search(r"\d+\.\d+", tag)
        faults.unless(pinned, where, f"{service['image']} names no release")
        for port in service.get("ports", []):
            faults.unless(str(port).startswith("127.0.0.1:"), where, f"port {port} must be for this machine only")
        asked = "healthcheck" in service or name in UNASKED
        faults.unless(asked, where, "nobody asks how it is, and `up --wait` does not wait for it")
        wanted = service.get("depends_on", {})
        for other, how in wanted.items():
            there = compose["services"].get(other)
            if there is None:
                faults.add(where, f"waits for {other}, which is not here")
            elif how["condition"] == "service_healthy":
                faults.unless("healthcheck" in there, where, f"waits for {other}'s health, which nobody checks")


def check_env_example(written, example, faults):
    used = variables(written)
    proposed = dotenv(example, commented=True)
    for name, needed in used.items():
        if needed:
            faults.unless(name in dotenv(example), ".env.example", f"{name} must be set, and is not there")
    for name in sorted(set(proposed) - set(used) - COMPOSE):
        faults.add(".env.example", f"{name} is read by nobody")


def check_queues(script, environment, known, faults):
    """The init step makes every queue that a service names, and as their consumer wants it."""
    where = "deploy/compose/queues-and-buckets.sh"
    for contract in known.values():
        for need in contract["queues"] + contract["buckets"]:
            setting = need["setting"]
            faults.unless(f"${setting}" in script and setting in environment, where, f"does not make {setting}'s")
            if need.get("visibility"):
                wanted = need["visibility"]["seconds"]
                found = {int(value) for value in re.findall(r"VisibilityTimeout\D+(\d+)", script)}
                faults.unless(found == {wanted}, where, f"VisibilityTimeout must be {wanted}, but is {found}")


def check_collector(collector, known, faults):
    scraped = set()
    for job in collector["receivers"]["prometheus"]["config"]["scrape_configs"]:
        for group in job["static_configs"]:
            scraped.update(group["targets"])
    wanted = {f"{name}:{contract['ports']['admin']}" for name, contract in known.items()}
    faults.unless(scraped == wanted, "deploy/compose/collector.yaml", f"must ask {sorted(wanted)}, but asks {sorted(scraped)}")


def main():
    faults = Faults()
    faults.tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    written = load(Path("docker-compose.yml").read_text())
    example = Path(".env.example").read_text()
    check_env_example(written, example, faults)
    filled = {name: value or "0123456789abcdef" for name, value in dotenv(example).items()}
    compose = interpolate(written, filled)
    known = contracts()
    for name, contract in known.items():
        if name not in compose["services"]:
            faults.add("docker-compose.yml", f"{name} is not there")
            continue
        check_settings(name, written["services"][name]["environment"], contract, faults)
        check_runtime(name, compose["services"][name], contract, faults)
        check_peers(name, compose["services"][name]["environment"], compose, known, faults)
    check_everything_else(compose, faults)
    init = compose["services"]["queues-and-buckets"]["environment"]
    check_queues(Path("deploy/compose/queues-and-buckets.sh").read_text(), init, known, faults)
    check_collector(yaml.safe_load(Path("deploy/compose/collector.yaml").read_text()), known, faults)
    faults.exit()


if __name__ == "__main__":
    main()
