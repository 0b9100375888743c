"""An entry says where its files are in one of three ways; each becomes what fetch asks for."""

from pathlib import Path

import pytest
from larder_sidecar.catalog import load_catalog
from larder_sidecar.catalog.models import CatalogError

from components.settings.weights_plan import weights_plan

FOLDER = Path(__file__).parents[3] / "catalog" / "models"
GOOD = (FOLDER / "tiny-random.yaml").read_text()
HUB = GOOD[GOOD.index("hub:") : GOOD.index("ollama:")]
FILE = HUB[HUB.index("    - path") :]
DIGEST = "sha256:" + "0" * 64
HTTPS = f"https:\n  files:\n{FILE}      url: https://models.example/tiny.gguf\n"
OCI = f"oci:\n  artifact: registry.example/models/tiny@{DIGEST}\n  files:\n{FILE}"


def written(folder: Path, source: str) -> Path:
    (folder / "tiny-random.yaml").write_text(GOOD.replace(HUB, source))
    return folder


@pytest.mark.parametrize(
    ("source", "url", "revision"),
    [
        (HUB, "https://hub.test/larder/tiny-random-GGUF/resolve/0e88", "0e88836d9fffb061922d8c014e2454a59b6bc57e"),
        (HTTPS, "https://models.example/tiny.gguf", None),
        (OCI, f"oci://registry.example/models/tiny@{DIGEST}", None),
    ],
    ids=["hub", "https", "oci"],
)
def test_a_source_becomes_the_url_of_a_file(tmp_path: Path, source: str, url: str, revision: str | None) -> None:
    entries = load_catalog(written(tmp_path, source)).values()
    plan = weights_plan(entries, "https://hub.test")
    (file,) = plan.models[0].files
    assert file.url.startswith(url)
    assert file.revision == revision
    # A swap of the source finds what another one has filled.
    assert plan.digest() == weights_plan([load_catalog(FOLDER)["tiny-random"]], "https://elsewhere.test").digest()


WRONG = {
    "none": ("", "one of `hub`, `https` and `oci`"),
    "two": (HUB + OCI, "one of `hub`, `https` and `oci`"),
    "no TLS": (HTTPS.replace("https://", "http://"), "url"),
    "no hash": (HTTPS[: HTTPS.index("sha256")] + "sha256: first-pull\n      url: https://a.example/b\n", "sha256"),
    "a repository that leads elsewhere": (OCI.replace("models/tiny", "models/../tiny"), "artifact"),
    "a tag": (OCI.replace(f"@{DIGEST}", ":latest"), "artifact"),
}


@pytest.mark.parametrize(("source", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_names_no_file_for_sure_is_refused(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        load_catalog(written(tmp_path, source))
