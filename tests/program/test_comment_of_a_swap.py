"""The comment that docs/ shows is the one that a pull request with this swap gets.

`python -m tests.program.test_comment_of_a_swap > docs/pull-request-comment.md` renews it.
"""

from components import ROOT
from components.plan.plan import make_plan
from components.settings import parse
from components.settings.read import read_catalog
from components.settings.sources import merged
from preview.comment import comment
from preview.document import PlanDocument, document
from preview.findings import findings
from preview.program import record, stack_config
from tests.program.previews import IMAGES

FILE = ROOT / "docs" / "pull-request-comment.md"


def rendered() -> str:
    return comment([(_plan("none"), _plan("node-local"))])


def _plan(strategy: str) -> PlanDocument:
    config = merged(stack_config("dev"), {"larder:images": IMAGES, "larder:cache": {"strategy": strategy}})
    settings = parse(config, stack="dev", catalog=read_catalog(ROOT))
    recording = record(config, stack="dev")
    return document("dev", settings, make_plan(settings), recording, findings(recording, "dev"))


def test_the_committed_comment_is_up_to_date() -> None:
    assert FILE.read_text() == rendered(), f"run: {(__doc__ or '').splitlines()[2]}"


if __name__ == "__main__":
    print(rendered(), end="")
