"""Imports run one way: down. The floors are those of the table in floors.py."""

import subprocess
import sys

from components import ROOT
from tests.source_code import READS_CODE
from tests.unit.floors import FLOORS, floor, imports, is_ours, modules, room

pytestmark = READS_CODE
MODULES = dict(modules())


def test_every_module_has_a_place_in_the_table() -> None:
    assert len(MODULES) > 100
    assert [module for module in MODULES if room(module) is None] == []


def test_the_table_names_nothing_that_is_gone() -> None:
    rooms = {room(module) for module in MODULES}
    rooms |= {room(name) for module, file in MODULES.items() for name in imports(module, file) if is_ours(name)}
    assert {name for names in FLOORS for name in names} - rooms == set()


def test_no_module_imports_from_its_own_floor_or_a_higher_one() -> None:
    upwards = []
    for module, file in MODULES.items():
        mine = room(module) or ""
        for name in filter(is_ours, imports(module, file)):
            theirs = room(name) or ""
            if theirs != mine and floor(theirs) >= floor(mine):
                upwards.append(f"{module} imports {name}")
    assert upwards == []


def test_a_plan_is_made_without_resources() -> None:
    plan = {name: file for name, file in MODULES.items() if name.startswith(("components.plan", "components.names"))}
    assert len(plan) > 5
    declaring = ("pulumi", "components.caching", "components.serving", "components.storage", "components.node_pools")
    assert [
        (name, found) for name, file in plan.items() for found in imports(name, file) if found.startswith(declaring)
    ] == []


def test_one_module_alone_leads_from_the_commands_to_the_embedded_cluster() -> None:
    commands = {name: file for name, file in MODULES.items() if name.split(".")[0] == "dev"}
    assert len(commands) > 15
    assert {
        name for name, file in commands.items() for found in imports(name, file) if found.startswith("testbed")
    } == {"dev.embedded"}


def test_a_cluster_that_exists_needs_nothing_of_the_testbed() -> None:
    code = "import sys, dev.__main__, dev.existing; print([name for name in sys.modules if name.startswith('testbed')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
