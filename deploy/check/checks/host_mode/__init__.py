"""docker-compose.yml without Docker: every part as a process of this machine, with exactly the file's environment.

    python -m checks.host_mode [--profile localsqs]

Each service of the file gets a loopback address of its own (127.0.0.0/8 is all loopback on Linux), so every port stays as
the file has it and only host names become addresses. Postgres and Redis are the installed ones, LocalStack 4.14.0 comes
from PyPI, ours are built by cargo. The file's own init scripts, commands, health checks and stop times are used. Then:
a replay of made-up orders that must balance to the cent and each have its invoice, a message that is parked and redriven, metrics where the
collector asks for them, traces where the services send them, a stop within each contract's time; and every SQS call of
each service is compared with the IAM actions of its contract.
"""
