//! Ids, money, tax, the order state machine, message and API contracts; no I/O.
