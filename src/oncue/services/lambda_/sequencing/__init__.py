"""Sequencing: messages of one key run one at a time, in the order of a version that the messages declare.

`rules` reads what the user wrote, `pointers` and `versions` what a message says, `decisions` (pure) says what
becomes of it, `ledger` keeps all of it, `settings` joins rules to mappings, `poller` runs it. Design and
invariants: docs/decisions, "Sequencing".
"""
