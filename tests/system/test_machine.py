"""The facts about a machine are known on every system."""

import json
import os

from vmambair_arch.system import machine


def test_the_memory_is_unknown_where_the_system_does_not_tell_it(monkeypatch):
    assert machine.facts()["memory_gib"] > 0.1
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    facts = machine.facts()
    assert facts["memory_gib"] is None
    assert json.loads(json.dumps(facts)) == facts
