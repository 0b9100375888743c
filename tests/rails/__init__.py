"""Guard rails: comparisons with the commit before, for a change of structure that must change no behaviour.

`make rails BEFORE=<commit>` runs the code of both sides on the same inputs (docs/testing.md, "Rails"):

- `trees.py` checks out the other commit; `commands.py` and `schemas.py` run there and import nothing of these tests.
- `plans.py`: the plan of every stack file with every strategy.
- `names.py`: the schemas of the files that people, the program and the sidecar read.
- `verdicts.py`: the verdicts on the stack files of `corpus.py`, which `harvest.py` collects from tests.
- `gateways.py`: two gateways of `sides.py`, each before an `engine.py`, get the connections of `clients.py`.

Each `test_*.py` shows that a rail reports a change.
"""
