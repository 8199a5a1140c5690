#!/usr/bin/env python3
"""What Steelyard costs a month on AWS, and the classic case beside it: `deploy/costs/model.py > docs/COSTS.md`.

Prices are in prices.json with where each was read; quantities are counted in the templates, measured
(docs/PERFORMANCE.md), or assumed, and assumptions are named below and in the page.
"""

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRICES = json.loads((HERE / "prices.json").read_text())
SCALES = {"10,000": 10_000, "1 million": 1_000_000, "100 million": 100_000_000}

# CPU ms an order. Ours: docs/PERFORMANCE.md, machine B: gateway 0.138, worker 0.306, catalog 0.066. The classic case's:
# Node.js as most teams ship it, intake 0.95 and worker 0.80, measured once, elsewhere, by nothing that is kept here.
OUR_CPU_MS, CLASSIC_CPU_MS = Decimal("0.51"), Decimal("1.75")
# Assumed: busiest second against the mean; how much of a core may be used; a document an order; a year of everything kept.
PEAK, LOAD_MAX, DOCUMENT_KB, MONTHS_KEPT, MONTHS_WARM = 20, Decimal("0.6"), 50, 12, 2
# Assumed: rows and indexes of an order, and I/Os of Aurora.
ROW_KB, IOS = 6, 12
# Four messages an order, sent and received in batches of six, intake singly.
SQS_REQUESTS = Decimal("2.83")
# Long polls of one consumer, 20 s each, in millions a month.
IDLE_POLLS = Decimal("0.1296")
# Lines of an order in four services' logs at `info`; platform.yaml says the same.
LOG_GB_PER_MILLION = Decimal("3.7")
# Indicators that services write, and Container Insights' own: counted roughly.
METRICS = 45
# Assumed: traces an order, its own and its part of a worker's set; X-Ray's first are free.
TRACES, TRACES_FREE = 2, 100_000
# What of a million orders a second region is sent: rows by Aurora's storage, documents by S3.
SENT_KB = ROW_KB + DOCUMENT_KB

SECOND_REGION = "A second region, standing by"
SERVICES = ("gateway", "orders", "catalog", "documents")
ENVIRONMENTS = HERE.parent / "ecs" / "environments"
PRODUCTION, SECOND = (json.loads((ENVIRONMENTS / f"{name}.json").read_text()) for name in ("production", "dr"))


def price(name):
    return Decimal(PRICES[name]["price"])


def counted(kind):
    """How many resources of a kind the templates have."""
    return sum(text.read_text().count(f"Type: {kind}\n") for text in (HERE.parent / "ecs").glob("*.yaml"))


def told(given, stack, parameter):
    """What an environment says of a parameter, or the template for it."""
    if parameter in given["stacks"].get(stack, {}):
        return given["stacks"][stack][parameter]
    template = (HERE.parent / "ecs" / f"{stack}.yaml").read_text()
    block = re.search(rf"^  {parameter}:\n((?:    .*\n)+)", template, re.M)[1]
    return re.search(r"^    Default: (.+)$", block, re.M)[1].strip('"')


def number(given, stack, parameter):
    return Decimal(str(told(given, stack, parameter)))


def task(given, service):
    """One task, a month."""
    cpu, memory = number(given, service, "Cpu") / 1024, number(given, service, "Memory") / 1024
    return price("hours") * (price("fargate_vcpu") * cpu + price("fargate_gb") * memory)


def tasks(given):
    """All that are always there; above the first of each they are on Spot, but for the gateway's."""
    sum_ = Decimal(0)
    for service in SERVICES:
        count = number(given, service, "TasksMin")
        spot = Decimal(0) if service == "gateway" else max(Decimal(0), count - 1)
        sum_ += task(given, service) * (count - spot + spot * price("spot"))
    return sum_


def highly_available(given):
    return 2 if told(given, "data", "HighlyAvailable") == "yes" else 1


def cache(given):
    return price("hours") * price(told(given, "data", "CacheNodeType")) * highly_available(given)


def aurora(given):
    return price("hours") * price("aurora_acu") * number(given, "data", "CapacityMin") * highly_available(given)


def network(given):
    gateways = 2 if told(given, "network", "NatGateways") == "per-zone" else 1
    return price("hours") * (gateways * price("nat") + 2 * price("endpoint"))


def balancer():
    return price("hours") * (price("alb") + price("alb_lcu")) + price("waf")


def cores_at_peak(orders, cpu_ms):
    mean = Decimal(orders) / (price("hours") * 3600)
    return mean * PEAK * cpu_ms / 1000 / LOAD_MAX


def documents_gb(orders, months):
    return Decimal(orders) * DOCUMENT_KB * months / 1_000_000


def second_region(orders):
    """What stands by: its gateway, a database and copies that follow, and all that is paid for by the hour."""
    millions = Decimal(orders) / 1_000_000
    stored = price("aurora_gb") * Decimal(orders) * ROW_KB * MONTHS_KEPT / 1_000_000
    kept = documents_gb(orders, MONTHS_WARM) * price("s3_gb") + documents_gb(orders, MONTHS_KEPT - MONTHS_WARM) * price("s3_cold_gb")
    sent = Decimal(orders) * SENT_KB / 1_000_000 * price("between_regions_gb")
    return (
        tasks(SECOND) + aurora(SECOND) + stored + price("aurora_replicated_io") * IOS * millions + cache(SECOND) + balancer()
        + network(SECOND) + kept + sent + price("s3_put") * millions
        + price("secret") * counted("AWS::SecretsManager::Secret") + price("alarm") * counted("AWS::CloudWatch::Alarm")
    )


def steelyard(orders):
    millions = Decimal(orders) / 1_000_000
    # Load adds tasks above those that are always there, a quarter of a core each.
    there = sum(number(PRODUCTION, service, "TasksMin") for service in SERVICES)
    spare = max(Decimal(0), cores_at_peak(orders, OUR_CPU_MS) * 4 - there)
    share = Decimal(str(told(PRODUCTION, "gateway", "TraceShare")))
    traces = max(Decimal(0), Decimal(orders) * TRACES * share - TRACES_FREE) / 1_000_000
    return {
        "Fargate": tasks(PRODUCTION) + task(PRODUCTION, "orders") * spare,
        "Aurora": aurora(PRODUCTION) + price("aurora_io") * IOS * millions
        + price("aurora_gb") * Decimal(orders) * ROW_KB * MONTHS_KEPT / 1_000_000,
        "Valkey": cache(PRODUCTION),
        "SQS": price("sqs") * (SQS_REQUESTS * millions + IDLE_POLLS * 2),
        "Balancer and firewall": balancer() + price("waf_requests") * 2 * millions,
        "Network": network(PRODUCTION),
        "S3": price("s3_put") * millions + documents_gb(orders, MONTHS_WARM) * price("s3_gb")
        + documents_gb(orders, MONTHS_KEPT - MONTHS_WARM) * price("s3_cold_gb"),
        "Logs, metrics, alarms": price("logs_gb") * LOG_GB_PER_MILLION * millions + price("metric") * METRICS
        + price("alarm") * max(0, counted("AWS::CloudWatch::Alarm") - 10) + price("dashboard"),
        "Traces": price("trace") * traces,
        "Secrets": price("secret") * counted("AWS::SecretsManager::Secret"),
        SECOND_REGION: second_region(orders),
    }


def classic(orders):
    millions = Decimal(orders) / 1_000_000
    # Web, workers and a broker, each twice; a t3.medium has two cores and gives a fifth of them for good.
    more = max(Decimal(0), cores_at_peak(orders, CLASSIC_CPU_MS) - 6)
    return {
        "Servers": price("server") * (6 + more / 2),
        "Postgres (RDS, Multi-AZ)": price("hours") * price("rds_hour"),
        "Its disk: orders": price("rds_gb") * Decimal(orders) * ROW_KB * MONTHS_KEPT / 1_000_000,
        "Its disk: documents": price("rds_gb") * documents_gb(orders, MONTHS_KEPT),
        "Balancer": price("hours") * (price("alb") + price("alb_lcu")),
        "Network": price("hours") * 2 * price("nat"),
        "Logs": price("logs_gb") * LOG_GB_PER_MILLION * millions,
    }


# The archive that packs were made for: documents, KB each. What S3 adds to an object in the colder classes: 32 KB there, 8 KB
# at the warm price; and the least that it bills in Glacier Instant Retrieval (S3 user guide).
ARCHIVED, ARCHIVED_KB = 1_600_000, 50
COLD_KB_MIN, HEAD_COLD_KB, HEAD_WARM_KB = 128, 32, 8
PACK_MB = 128


def gigabytes(objects, kilobytes):
    return Decimal(objects) * kilobytes / 1_000_000


def archive_options():
    """Options with what they cost a month, and once to get there from S3 Standard, in USD."""
    documents, warm = ARCHIVED, price("s3_gb")
    packs = -(-documents * ARCHIVED_KB // (PACK_MB * 1_000))
    size = gigabytes(documents, ARCHIVED_KB)
    headed = lambda objects: (gigabytes(objects, HEAD_COLD_KB), gigabytes(objects, HEAD_WARM_KB) * warm)
    # Every document is read once, every pack put, in parts of 8 MB, and read back.
    packing = (documents * price("s3_get") + packs * (PACK_MB // 8) * (price("s3_put") + price("s3_get"))) / 1_000_000

    def cold(per_gb, objects):
        more, warm_part = headed(objects)
        return (size + more) * per_gb + warm_part

    into = lambda name, objects: price(name) * objects / 1_000_000
    return {
        "As they are, S3 Standard": (size * warm, Decimal(0), "at once"),
        "As they are, Glacier Instant Retrieval": (
            gigabytes(documents, COLD_KB_MIN) * price("s3_cold_gb"), into("s3_to_cold", documents), "at once"),
        "As they are, Glacier Flexible Retrieval": (
            cold(price("s3_flexible_gb"), documents), into("s3_to_flexible", documents), "3–5 hours"),
        "As they are, Glacier Deep Archive": (
            cold(price("s3_deep_gb"), documents), into("s3_to_deep", documents), "12 hours"),
        "**Packs, Glacier Instant Retrieval**": (
            size * price("s3_cold_gb"), packing + into("s3_to_cold", packs), "at once"),
        "Packs, Glacier Flexible Retrieval": (
            cold(price("s3_flexible_gb"), packs), packing + into("s3_to_flexible", packs), "3–5 hours"),
        "Packs, Glacier Deep Archive": (
            cold(price("s3_deep_gb"), packs), packing + into("s3_to_deep", packs), "12 hours"),
    }


def archive_table():
    options = archive_options()
    warm = next(iter(options.values()))[0]
    cents = lambda amount: f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    lines = ["| | a month | once | pays back after | is read |", "|---|---:|---:|---:|---|"]
    for name, (monthly, once, read) in options.items():
        saved = warm - monthly
        months = (once / saved).quantize(Decimal(1), ROUND_HALF_UP) if once else None
        months = "–" if months is None else f"{months} months" if months else "a month"
        lines.append(f"| {name} | {cents(monthly)} | {cents(once)} | {months} | {read} |")
    return "\n".join(lines)


def dollars(amount):
    return f"{amount.quantize(Decimal(1), ROUND_HALF_UP):,}"


def table(model):
    columns = {name: model(orders) for name, orders in SCALES.items()}
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for part in next(iter(columns.values())):
        lines.append(f"| {part} | " + " | ".join(dollars(column[part]) for column in columns.values()) + " |")
        if part == "Secrets":
            # What compares with the classic case, which has one region.
            first = [sum(column.values()) - column[SECOND_REGION] for column in columns.values()]
            lines.append("| *in one region* | " + " | ".join(f"*{dollars(total)}*" for total in first) + " |")
    totals = [sum(column.values()) for column in columns.values()]
    lines.append("| **together** | " + " | ".join(f"**{dollars(total)}**" for total in totals) + " |")
    per_thousand = [total * 1000 / orders for total, orders in zip(totals, SCALES.values())]
    lines.append("| per 1,000 orders | " + " | ".join(str(each.quantize(Decimal("0.001"))) for each in per_thousand) + " |")
    return "\n".join(lines)


def page():
    sources = "\n".join(
        f"| {name} | {entry['price']} | {entry['unit']} | {entry['source']} |" for name, entry in PRICES.items() if name != "region"
    )
    return f"""# What it costs

Written by `deploy/costs/model.py > docs/COSTS.md`; a test runs it again and compares. USD a month, by orders a month, in the
form of `deploy/ecs/environments/production.json`, read from there (two zones, a reader, two of each service, a second region
that stands by as `dr.json` says), a year after its start.

## Steelyard

{table(steelyard)}

## The classic case

Web servers, workers and a message broker on machines that are always there, documents as binary columns in Postgres.

{table(classic)}

## The archive

{ARCHIVED:,} documents of {ARCHIVED_KB} KB, by how they are kept (`ARCHIVE_CLASS`); packs of {PACK_MB} MB. In Postgres (RDS,
Multi-AZ) they would cost {dollars(gigabytes(ARCHIVED, ARCHIVED_KB) * price("rds_gb"))} a month. By default S3's lifecycle rules never move objects below
128 KB at all, and say nothing.

{archive_table()}

## What to read from it

- At few orders the floor is the bill, and in one region the two are much alike: balancer, two NAT gateways and a database that
  is always there cost the same whatever runs on them. `CapacityMin`, `NatGateways: one` and `HighlyAvailable: "no"` are the
  levers.
- The second region is the dearest single line there; the classic case has none, and loses intake with its region. Without one
  (`GlobalRole: none`, no `SecondRegion`) the line is nothing.
- Orders themselves are nearly free. Above some millions it is documents that decide: a GB in Multi-AZ Postgres costs ten
  times one in S3, and fifty-seven times one in a cold pack; backups and larger machines for it are not even counted.
- One PUT per document is the largest part of S3's bill; packs save on storage, not on that.

## Assumed

Busiest second {PEAK} times the mean, cores used to {int(LOAD_MAX * 100)}%, {DOCUMENT_KB} KB of documents an order, kept
{MONTHS_KEPT} months of which {MONTHS_WARM} warm, {ROW_KB} KB of rows and {IOS} I/Os of Aurora an order (not measured),
{SQS_REQUESTS} SQS requests an order, {TRACES} traces an order of which `TraceShare` are recorded. CPU an order: {OUR_CPU_MS} ms, gateway, worker and catalog of machine B in
[PERFORMANCE](PERFORMANCE.md), against {CLASSIC_CPU_MS} ms of a Node.js intake and worker as most teams ship them (measured once on
another machine; nothing here repeats it); at these scales it hardly shows. Traffic out is the same in both cases and left out.
Staff is left out, too.

## Prices

{PRICES["region"]}. "No source" is from memory: no page that says it was found.

| | USD | per | read |
|---|---:|---|---|
{sources}
"""


if __name__ == "__main__":
    print(page(), end="")
