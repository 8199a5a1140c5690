"""The parts of docker-compose.yml, each at an address of its own."""

import os
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

from ..compose_file import dotenv, interpolate, load
from .processes import START_SECONDS_MAX, Process
from .taps import AwsTap, CollectorTap

# In a URL: `://`, perhaps a user, the name, a port.
HOST_OF_URL = re.compile(r"(://(?:[^/@\s]*@)?)([a-z][a-z0-9-]*)(?=:\d)")
POSTGRES_PORT, REDIS_PORT, OTLP_PORT = 5432, 6379, 4318


class World:
    def __init__(self, work, binaries, profile):
        self.work = work
        self.logs = work / "logs"
        self.logs.mkdir()
        self.binaries = binaries
        self.started = []
        variables = self._dotenv()
        if profile == "localsqs":
            variables["SQS_URL"] = "http://localsqs:9324"
        self.compose = interpolate(load(Path("docker-compose.yml").read_text()), variables)
        self.services = self.compose["services"]
        # Two bytes of this process's number: runs side by side do not meet.
        net = f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"
        self.addresses = {name: f"{net}.{number}" for number, name in enumerate(self.services, start=10)}
        self.taps = {}
        self.net = net

    def _dotenv(self):
        """As a person makes it: `cargo stack env > .env`."""
        done = self.stack("env")
        (self.work / ".env").write_text(done)
        return dotenv(done)

    def stack(self, *args, check=True):
        command = [self.binaries / "stack", args[0], *args[1:], "--data", self.work / "stack"]
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"stack {' '.join(map(str, args))}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def environment(self, name, seen_by=None):
        """The file's environment of a service, names of hosts become addresses; nothing else is added or left out."""
        seen = dict(self.addresses) | (seen_by or {})

        def address(match):
            return match[1] + seen.get(match[2], match[2])

        given = self.services[name].get("environment", {})
        seen_as = {key: HOST_OF_URL.sub(address, str(value)) for key, value in given.items()}
        mounts = [volume.split(":") for volume in self.services[name].get("volumes", [])]
        # A file that the engine would mount is read where it is.
        files = {mount[1]: str(Path(mount[0]).resolve()) for mount in mounts if mount[0].startswith(".")}
        return {key: files.get(value, value) for key, value in seen_as.items()}

    def spawn(self, name, command, env, **kwargs):
        process = Process(name, command, env, self.logs, **kwargs)
        self.started.append(process)
        return process

    def postgres(self):
        """The installed Postgres as the image sets it up: one administrator, one database, then the init script."""
        env = self.environment("postgres")
        bin_dir = Path(subprocess.check_output(["sh", "-c", "ls -d /usr/lib/postgresql/*/bin | tail -1"], text=True).strip())
        data = self.work / "postgres"
        data.mkdir()
        as_user = []
        if os.geteuid() == 0:
            shutil.chown(data, "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]
        password = self.work / "postgres-password"
        password.write_text(env["POSTGRES_PASSWORD"])
        self.work.chmod(0o711)
        password.chmod(0o644)
        subprocess.run(
            [*as_user, bin_dir / "initdb", "--pgdata", data, "--username", env["POSTGRES_USER"], "--pwfile", password,
             "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )
        address = self.addresses["postgres"]
        process = self.spawn(
            "postgres",
            [*as_user, bin_dir / "postgres", "-D", data, "-h", address, "-p", str(POSTGRES_PORT), "-k", "", "-F"],
            {"PATH": os.environ["PATH"]}, cwd="/",
        )
        test = self.services["postgres"]["healthcheck"]["test"]
        probe = [bin_dir / test[1], *(word.replace("127.0.0.1", address) for word in test[2:])]
        # Before the database of the probe is there, the server answers already.
        process.wait_until(lambda: subprocess.run(probe, capture_output=True).returncode == 0)
        client = {"PATH": os.environ["PATH"], "PGHOST": address, "PGPASSWORD": env["POSTGRES_PASSWORD"]}
        subprocess.run(["createdb", "--username", env["POSTGRES_USER"], env["POSTGRES_DB"]], env=client, check=True)
        subprocess.run(["sh", "deploy/compose/roles.sh"], env=client | env, check=True)

    def valkey(self):
        command = ["redis-server", *self.services["valkey"]["command"][1:]]
        address = self.addresses["valkey"]
        process = self.spawn(
            "valkey", [*command, "--bind", address, "--port", str(REDIS_PORT)], {"PATH": os.environ["PATH"]}, cwd=self.work
        )
        ping = ["redis-cli", "-h", address, *self.services["valkey"]["healthcheck"]["test"][2:]]
        process.wait_until(lambda: "PONG" in subprocess.run(ping, capture_output=True, text=True).stdout)

    def localstack(self, python):
        address = self.addresses["localstack"]
        # It listens on all addresses of its port, so it has a port of its own behind the file's.
        port = free_port()
        env = self.environment("localstack") | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(self.work),
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "LOCALSTACK_HOST": f"{address}:4566",
            # Nothing leaves this machine.
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
        }
        process = self.spawn("localstack", [python, "-m", "localstack.runtime.main"], env, cwd=self.work)
        self.emulator = AwsTap((address, 4566), ("127.0.0.1", port))
        process.wait_until(lambda: answers(f"http://{address}:4566/_localstack/health"), START_SECONDS_MAX)

    def localsqs(self):
        address = self.addresses["localsqs"]
        listen = {"LISTEN_ADDR": f"{address}:9324"}
        process = self.spawn(
            "localsqs", [self.binaries / "localsqs", "--data", self.work / "localsqs"], self.environment("localsqs") | listen
        )
        process.wait_until(lambda: answers(f"http://{address}:9324/health"))

    def queues_and_buckets(self, python):
        service = self.services["queues-and-buckets"]
        script = service["entrypoint"][1].replace("/init/", "deploy/compose/")
        env = self.environment("queues-and-buckets") | {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(self.work)}
        # Twice: what is there already stays.
        for _ in range(2):
            done = subprocess.run(["sh", script], env=env, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{script}:\n{done.stdout}{done.stderr}")

    def collector(self):
        self.traces = CollectorTap((self.addresses["collector"], OTLP_PORT))

    def service(self, name, ports):
        """One of ours, with a tap of its own on its way to SQS."""
        seen_by = {}
        endpoint = self.services[name]["environment"].get("AWS_ENDPOINT_URL")
        if endpoint:
            host, port = re.search(r"//([\w-]+):(\d+)", endpoint).groups()
            seen_by[host] = f"{self.net}.{100 + len(self.taps)}"
            self.taps[name] = AwsTap((seen_by[host], int(port)), (self.addresses[host], int(port)))
        address = self.addresses[name]
        # Without a network of its own a container's 0.0.0.0 would be everybody's.
        listen = {"LISTEN_ADDR": f"{address}:{ports['api']}", "ADMIN_ADDR": f"{address}:{ports['admin']}"}
        env = self.environment(name, seen_by) | listen
        process = self.spawn(name, [self.binaries / name], env)
        test = self.services[name]["healthcheck"]["test"]
        probe = [self.binaries / Path(test[1]).name, *test[2:]]
        process.wait_until(lambda: subprocess.run(probe, env=env, capture_output=True).returncode == 0)
        return process


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        # Refused, or answered by an error.
        return False
