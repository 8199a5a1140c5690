"""Holds `deploy/`, `Dockerfile` and `docker-compose.yml` against what the services say they need.

Each check is a module to be run (`python -m checks.compose`) in the repository's root; it prints one fault a line and
exits with 1 when there are any. `STEELYARD_CONTRACTS` names the file with the contracts of all services, as
`--print-contract` prints them. `cargo test --workspace --test deploy` runs all of it.
"""
