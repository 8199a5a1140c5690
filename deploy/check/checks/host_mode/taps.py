"""Servers that stand in between and remember: what a service asks SQS for, and what it tells the collector."""

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A long poll lasts 20 s.
FORWARD_SECONDS_MAX = 40


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _serve(address, handler):
    server = _Server(address, handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class AwsTap:
    """Forwards to an emulator, and notes (action, queue) of each call of SQS."""

    def __init__(self, address, upstream):
        self.calls = {}
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                tap.note(self.headers.get("x-amz-target", ""), body)
                connection = http.client.HTTPConnection(*upstream, timeout=FORWARD_SECONDS_MAX)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    content = answer.read()
                except OSError:
                    self.send_error(502)
                    return
                finally:
                    connection.close()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = forward

            def log_message(self, *_):
                pass

        self.server = _serve(address, Handler)

    def note(self, target, body):
        if not target.startswith("AmazonSQS."):
            return
        # A batch call needs the single call's permission.
        action = "sqs:" + target.removeprefix("AmazonSQS.").removesuffix("Batch")
        asked = json.loads(body or b"{}")
        queue = asked.get("QueueName") or asked.get("QueueUrl", "").rpartition("/")[2]
        self.calls[(action, queue)] = self.calls.get((action, queue), 0) + 1


class CollectorTap:
    """Takes traces as the collector does, and notes who sent some."""

    def __init__(self, address):
        self.services = {}
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                # `service.name` in a resource's attributes: key, then a string value, both with their lengths.
                match = re.search(rb"service\.name\x12.\x0a.([a-z]+)", body, re.DOTALL)
                name = match[1].decode() if match else "unknown"
                tap.services[name] = tap.services.get(name, 0) + 1
                self.send_response_only(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = _serve(address, Handler)
