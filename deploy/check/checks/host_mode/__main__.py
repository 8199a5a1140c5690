"""See the package."""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal
from pathlib import Path

import yaml

from ..common import Faults, contracts, dead_letters_of
from .processes import running
from .world import World

INVOICES = 120
SETTLE_SECONDS_MAX = 300
TRACES_SECONDS_MAX = 60


def make_invoices(path):
    """A file as `replay` takes it: prices with odd cents, several lines an invoice, few customers, a guest now and then."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country".split(","))
        for number in range(INVOICES):
            customer = "" if number % 17 == 0 else str(10_000 + number % 12)
            for line in range(1 + number % 4):
                price = Decimal(95 + 37 * ((number + line) % 23)) / 100
                rows.writerow([
                    700_000 + number, f"SKU-{(number * 7 + line) % 40}", f"THING {line}", 1 + (number + line) % 9,
                    f"2011-01-{1 + number % 28:02} 10:{number % 60:02}:00", price, customer, "United Kingdom",
                ])


def park_and_redrive(world, python, gateway):
    """A message that nobody can read is parked with a reason, is seen by an operator, and comes back after a redrive."""
    env = world.environment("queues-and-buckets") | {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(world.work)}

    def aws(*args):
        command = ["aws", "--endpoint-url", env["AWS_ENDPOINT_URL"], "--region", env["AWS_REGION"], "sqs", *args, "--output", "json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout or "{}")

    url = aws("get-queue-url", "--queue-name", env["ORDERS_QUEUE"])["QueueUrl"]
    aws("send-message", "--queue-url", url, "--message-body", "not an order", "--message-group-id", "nobody",
        "--message-deduplication-id", "not-an-order")
    token = world.stack("token", "--sub", "operator", "--scope", "ops").strip()
    ops = ["--url", gateway, "--token", token, "--json"]

    def letters():
        answer = json.loads(world.stack("ops", *ops, "dead-letters", "list"))
        return answer["data"] if isinstance(answer, dict) else answer

    def wait_for(what, holds):
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not holds():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not within {SETTLE_SECONDS_MAX} s")
            time.sleep(1)

    wait_for("the message that is no order is parked", lambda: len(letters()) == 1)
    world.stack("ops", *ops, "dead-letters", "redrive", "--all", "--why", "a rehearsal")
    wait_for("the redriven message is parked again", lambda: len(letters()) == 1)
    world.stack("ops", *ops, "queues")


def check_scrapes(world, faults):
    """Everything that the collector is told to ask has metrics."""
    collector = yaml.safe_load(Path("deploy/compose/collector.yaml").read_text())
    for job in collector["receivers"]["prometheus"]["config"]["scrape_configs"]:
        for target in (target for group in job["static_configs"] for target in group["targets"]):
            host, _, port = target.partition(":")
            with urllib.request.urlopen(f"http://{world.addresses[host]}:{port}/metrics", timeout=10) as answer:
                faults.unless(answer.status == 200, target, f"/metrics answers {answer.status}")


def check_traces(world, faults):
    deadline = time.monotonic() + TRACES_SECONDS_MAX
    wanted = set(contracts())
    while not wanted <= set(world.traces.services) and time.monotonic() < deadline:
        time.sleep(0.5)
    faults.unless(wanted <= set(world.traces.services), "traces", f"came from {sorted(world.traces.services)} only")


def check_actions(world, known, faults):
    """No service asked SQS for anything that its contract does not name; and what it names and did not ask for is told."""
    notes = []
    for name, tap in world.taps.items():
        env = world.services[name]["environment"]
        named = set()
        for need in known[name]["queues"]:
            queue = env.get(need["setting"])
            if queue and need["dead_letters"]:
                queue = dead_letters_of(queue)
            named.update((action, queue) for action in need["actions"])
        for action, queue in sorted(set(tap.calls) - named):
            faults.add(f"{name}'s contract", f"does not name {action} on {queue}, which it asked for")
        notes += [f"{name} may {action} on {queue}, and did not need to here" for action, queue in sorted(named - set(tap.calls))]
    return notes


def check_stops(world, known, faults):
    """In the order in which compose stops them: whoever calls comes before whoever is called."""
    took = {}
    for name in ["gateway", "orders", "documents", "catalog"]:
        process = next(process for process in world.started if process.name == name)
        code, seconds = process.stop(known[name]["stop_seconds_max"])
        faults.unless(code == 0, name, f"ended with {code} after {seconds:.0f} s of its {known[name]['stop_seconds_max']} s")
        took[name] = round(seconds, 1)
    return took


def check_contract_suite(world, profile, faults):
    """localsqs's contract against the SQS that was just worked with."""
    host, port = ("localsqs", 9324) if profile == "localsqs" else ("localstack", 4566)
    env = os.environ | {
        "LOCALSQS_CONTRACT_ENDPOINT": f"http://{world.addresses[host]}:{port}", "LOCALSQS_CONTRACT_SERVICE": host,
    }
    done = subprocess.run(
        [os.environ.get("CARGO", "cargo"), "test", "--workspace", "--locked", "--test", "contract", "--",
         "the_endpoint_named_in_the_environment", "--nocapture"],
        env=env, capture_output=True, text=True,
    )
    faults.unless(done.returncode == 0, "contract suite", done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if "cases right" in line]


def main():
    parser = argparse.ArgumentParser(prog="checks.host_mode")
    parser.add_argument("--profile", choices=["localstack", "localsqs"], default="localstack")
    parser.add_argument("--bin", type=Path, default=Path("target/debug"), help="where the binaries are")
    parser.add_argument("--no-contract-suite", action="store_true")
    args = parser.parse_args()
    known, faults, python = contracts(), Faults(), Path(sys.executable)
    with tempfile.TemporaryDirectory(prefix="steelyard-host-mode-") as work:
        world = World(Path(work), args.bin.absolute(), args.profile)
        with running(world.started):
            world.localstack(python)
            if args.profile == "localsqs":
                world.localsqs()
            world.postgres()
            world.valkey()
            world.queues_and_buckets(python)
            world.collector()
            for name in ["catalog", "documents", "orders", "gateway"]:
                world.service(name, known[name]["ports"])
                print(f"{name} is healthy at {world.addresses[name]}")
            gateway = f"http://{world.addresses['gateway']}:{known['gateway']['ports']['api']}"
            invoices = Path(work) / "invoices.csv"
            make_invoices(invoices)
            print(world.stack("replay", "--invoices", "--gateway", gateway, invoices))
            park_and_redrive(world, python, gateway)
            print("a message that is no order was parked, seen, redriven and parked again")
            check_scrapes(world, faults)
            check_traces(world, faults)
            print(f"traces came from {world.traces.services}")
            notes = check_actions(world, known, faults)
            print(f"stopped, in seconds: {check_stops(world, known, faults)}")
            if not args.no_contract_suite:
                print(*check_contract_suite(world, args.profile, faults), sep="\n")
    print(*notes, sep="\n")
    faults.exit()


if __name__ == "__main__":
    main()
