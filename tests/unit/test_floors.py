"""Imports run one way: down. The floors are those of the table in floors.py."""

from tests.unit.floors import FLOORS, floor, imports, is_ours, modules, room

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
