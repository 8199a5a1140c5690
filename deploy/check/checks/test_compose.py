"""Every rule about docker-compose.yml and the Dockerfile is broken once, and must be heard."""

import copy
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import compose, dockerfile, image
from .common import Faults, contracts
from .compose_file import dotenv, interpolate, load, seconds, variables

WRITTEN = load(Path("docker-compose.yml").read_text())
CONTRACTS = contracts()
SCRIPT = Path("deploy/compose/queues-and-buckets.sh").read_text()


class Compose(unittest.TestCase):
    def breaks(self, check, expected):
        faults = Faults()
        check(faults)
        self.assertTrue(any(expected in line for line in faults.lines), f"{expected!r} is not in {faults.lines}")

    def environment(self, name, **changes):
        given = dict(WRITTEN["services"][name]["environment"]) | changes
        return {variable: value for variable, value in given.items() if value is not None}

    def test_a_variable_that_is_missing(self):
        given = self.environment("gateway", REDIS_URL=None)
        self.breaks(lambda faults: compose.check_settings("gateway", given, CONTRACTS["gateway"], faults), "REDIS_URL is not set")

    def test_a_variable_that_nobody_reads(self):
        given = self.environment("catalog", NODE_ENV="production")
        self.breaks(lambda faults: compose.check_settings("catalog", given, CONTRACTS["catalog"], faults), "NODE_ENV is set")

    def test_a_secret_in_the_file(self):
        for variable, value in {"SERVICE_TOKEN": "hunter2hunter2hunter2", "DATABASE_URL": "postgres://me:hunter2@postgres/x"}.items():
            given = self.environment("orders", **{variable: value})
            self.breaks(lambda faults: compose.check_settings("orders", given, CONTRACTS["orders"], faults), f"{variable} is a secret")

    def test_a_stop_that_comes_too_soon(self):
        service = copy.deepcopy(WRITTEN["services"]["orders"]) | {"stop_grace_period": "30s"}
        self.breaks(lambda faults: compose.check_runtime("orders", service, CONTRACTS["orders"], faults), "stop_grace_period is 30 s")

    def test_a_service_that_may_write(self):
        service = copy.deepcopy(WRITTEN["services"]["orders"]) | {"read_only": False}
        self.breaks(lambda faults: compose.check_runtime("orders", service, CONTRACTS["orders"], faults), "read-only")

    def test_a_peer_at_the_wrong_port(self):
        given = self.environment("gateway", CATALOG_URL="http://catalog:8082", REDIS_URL="redis://redis:6379")
        check = lambda faults: compose.check_peers("gateway", given, WRITTEN, CONTRACTS, faults)
        self.breaks(check, "CATALOG_URL must be http://catalog:8081")
        self.breaks(check, "REDIS_URL leads to redis, which is not here")

    def test_an_image_that_changes_under_our_feet(self):
        for name in ("valkey/valkey", "valkey/valkey:latest", "valkey/valkey:8"):
            changed = copy.deepcopy(WRITTEN)
            changed["services"]["valkey"]["image"] = name
            self.breaks(lambda faults: compose.check_everything_else(changed, faults), f"{name} names no release")

    def test_a_port_for_everyone(self):
        changed = copy.deepcopy(WRITTEN)
        changed["services"]["grafana"]["ports"] = ["3000:3000"]
        self.breaks(lambda faults: compose.check_everything_else(changed, faults), "must be for this machine only")

    def test_waiting_for_a_health_that_nobody_checks(self):
        changed = copy.deepcopy(WRITTEN)
        del changed["services"]["postgres"]["healthcheck"]
        self.breaks(lambda faults: compose.check_everything_else(changed, faults), "waits for postgres's health")

    def test_a_part_that_nobody_asks(self):
        changed = copy.deepcopy(WRITTEN)
        del changed["services"]["grafana"]["healthcheck"]
        self.breaks(lambda faults: compose.check_everything_else(changed, faults), "grafana: nobody asks how it is")

    def test_a_template_that_does_not_fit(self):
        example = Path(".env.example").read_text().replace("SERVICE_TOKEN=", "SERVICE_TOKENS=")
        self.breaks(lambda faults: compose.check_env_example(WRITTEN, example, faults), "SERVICE_TOKEN must be set")
        self.breaks(lambda faults: compose.check_env_example(WRITTEN, example, faults), "SERVICE_TOKENS is read by nobody")

    def test_queues_with_another_timeout_than_the_workers(self):
        environment = WRITTEN["services"]["queues-and-buckets"]["environment"]
        script = SCRIPT.replace("60", "30")
        self.breaks(lambda faults: compose.check_queues(script, environment, CONTRACTS, faults), "VisibilityTimeout must be 60")

    def test_a_service_whose_metrics_nobody_asks_for(self):
        collector = load(Path("deploy/compose/collector.yaml").read_text())
        collector["receivers"]["prometheus"]["config"]["scrape_configs"][0]["static_configs"].pop()
        self.breaks(lambda faults: compose.check_collector(collector, CONTRACTS, faults), "must ask")


class Variables(unittest.TestCase):
    def test_variables_are_filled_in_as_compose_does(self):
        text = "${A} ${B:-two} ${C:?is missing} $$D"
        self.assertEqual(interpolate(text, {"A": "one", "C": "three"}), "one two three $D")
        self.assertEqual(variables([text]), {"A": False, "B": False, "C": True})
        with self.assertRaisesRegex(KeyError, "C is missing"):
            interpolate({"x": [text]}, {"C": ""})

    def test_time_spans(self):
        self.assertEqual([seconds("90s"), seconds("1m30s"), seconds("2h")], [90, 90, 7200])

    def test_an_env_file(self):
        self.assertEqual(dotenv("# A=1\nB='{\"x\": 1}'\n#C=2\n"), {"B": '{"x": 1}'})
        self.assertEqual(dotenv("#C=2\n", commented=True), {"C": "2"})


class Image(unittest.TestCase):
    def target(self, **changes):
        text = Path("Dockerfile").read_text()
        for old, new in changes.items():
            text = text.replace({"entry": 'ENTRYPOINT ["/usr/local/bin/orders"]', "user": "USER 65532:65532",
                                 "health": '["/usr/local/bin/orders", "healthcheck"]', "port": "EXPOSE 8082 9082"}[old], new)
        faults = Faults()
        image.check_target(dockerfile.parse(text)["orders"], "orders", [8082, 9082], faults)
        return faults.lines

    def test_the_dockerfile_as_it_is(self):
        self.assertEqual(self.target(), [])

    def test_a_shell_that_would_keep_sigterm(self):
        self.assertIn("ENTRYPOINT", self.target(entry="ENTRYPOINT /usr/local/bin/orders")[0])

    def test_root(self):
        self.assertIn("USER", self.target(user="USER root")[0])

    def test_a_health_check_that_needs_curl(self):
        self.assertIn("HEALTHCHECK", self.target(health='["curl", "localhost:9082/healthz"]')[0])

    def test_a_port_that_is_not_the_services(self):
        self.assertIn("EXPOSE", self.target(port="EXPOSE 8080")[0])

    def test_a_toolchain_that_is_not_the_projects(self):
        faults = Faults()
        image.check_toolchain(dockerfile.parse(Path("Dockerfile").read_text()), "1.2.3", faults)
        self.assertIn("rust-toolchain.toml wants 1.2.3", faults.lines[0])

    def test_a_folder_that_the_build_would_miss(self):
        faults = Faults()
        image.check_context("*\n!Cargo.toml\n!Cargo.lock\n!rust-toolchain.toml\n!deploy/image\n!shared\n", ["shared/*", "tools/*"], faults)
        self.assertEqual(faults.lines, [".dockerignore: keeps tools/* from the build"])

    def test_a_file_system_holds_the_program_its_libraries_and_nothing_to_work_with(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["sh", "deploy/image/rootfs.sh", "/bin/true", folder], check=True)
            files = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}
        self.assertIn("usr/local/bin/true", files)
        self.assertIn("etc/ssl/certs/ca-certificates.crt", files)
        self.assertTrue(any("ld-linux" in file for file in files), "the loader")
        self.assertTrue(any("libc.so" in file for file in files), "libc")
        self.assertFalse(any(file.endswith("/sh") for file in files))


if __name__ == "__main__":
    unittest.main()
