//! Postgres kit: pool, migrations, inbox, outbox and its relay, keyset cursors.
