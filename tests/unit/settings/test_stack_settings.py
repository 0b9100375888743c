"""Invalid stack configs are reported in one line for each problem, with path and fix, all at once."""

from typing import Any

import pytest

from components.settings import Problem, SettingsError, parse
from components.settings.base import Catalog
from components.settings.clusters import KINDS
from components.settings.node_local import NodeLocalSettings
from components.settings.sources import merged
from testbed.toolchain import tools
from tests.unit.stack_config import CATALOG, DIGEST, GOOD, problems, problems_of, settings

MODELS = "Fix: choose one of them or add it to catalog/models/."
BLOCKS = (
    "larder:cache, larder:cluster, larder:gateway, larder:hub, larder:images, larder:kserve, larder:manager, "
    "larder:models, "
    "larder:node-pools, larder:ollama, larder:shimmy"
)

SERVED = "Catalog ids (catalog/models/*.yaml) of the models to serve; the first one is the default model."
IMAGES = {"images": {"alpha": f"registry/alpha@{DIGEST}"}}
NFS = {"server": "nas", "path": "/export"}

OWN = "and Larder labels its namespace and deletes it in the end. Fix: write a namespace for Larder alone, as in ai."

BAD: list[tuple[dict[str, Any], str]] = [
    *(
        (
            {"larder:cluster": {"namespace": namespace}},
            f"larder:cluster.namespace: {namespace!r} belongs to Kubernetes, {OWN}",
        )
        for namespace in ("kube-system", "kube-public", "kube-node-lease", "kube-mine")
    ),
    (
        {"larder:cluster": {"namespace": "default"}},
        f"larder:cluster.namespace: 'default' belongs to every team, {OWN}",
    ),
    (
        {"larder:cache": {"node-local": {"pool": "cpu"}}},
        "larder:cache.node-local: has both node and pool. Fix: write one of them: the node with the disk, or the "
        "pool whose nodes each have one.",
    ),
    (
        {"larder:cache": {"node-local": {"node": None}}},
        "larder:cache.node-local: has neither node nor pool. Fix: write one of them: the node with the disk, or the "
        "pool whose nodes each have one.",
    ),
    (
        {"larder:cache": {"node-local": {"node": None, "pool": "cpus"}}},
        "larder:cache.node-local.pool: no pool 'cpus' in larder:node-pools. Did you mean 'cpu'? "
        "Fix: choose one of cpu, spare.",
    ),
    (
        {"larder:cache": {"strategy": "nodelocal"}},
        "larder:cache.strategy: 'nodelocal' is not one of the choices. Did you mean 'node-local'? Fix: choose "
        "one of none, "
        "prebuilt-image, image-volume, shared-storage, node-local, kserve-cache.",
    ),
    (
        {"larder:cache": {"stratgy": "none"}},
        "larder:cache.stratgy: unknown key. Did you mean 'strategy'? "
        "Fix: use one of image-volume, kserve-cache, min-bandwidth, node-local, prebuilt-image, shared-storage, "
        "strategy.",
    ),
    (
        {"larder:modles": ["alpha"]},
        f"larder:modles: unknown key. Did you mean 'larder:models'? Fix: use one of {BLOCKS}.",
    ),
    (
        {"larder:node-pools": {"spare": {"hosts": ["pluto", "mars", "pluto"]}}},
        "larder:node-pools.spare.hosts: node 'pluto' appears twice. Fix: name each node once.",
    ),
    (
        {"larder:cache": {"node-local": None}},
        "larder:cache.node-local: is missing, but strategy 'node-local' requires it. Fix: write {node | pool, path, "
        "size}, or choose strategy none.",
    ),
    (
        {"larder:cache": {"strategy": "image-volume"}},
        "larder:cache.image-volume: is missing, but strategy 'image-volume' requires it. Fix: write {images: "
        "{<model>: <name@sha256:…>}} with the references that `larder-sidecar publish` prints, or choose strategy "
        "none.",
    ),
    (
        {"larder:cache": {"strategy": "image-volume", "image-volume": IMAGES}, "larder:models": ["alpha", "beta"]},
        "larder:cache.image-volume.images: no image for beta. Fix: make it with `larder-sidecar publish`, write "
        "the reference it prints, or choose strategy none.",
    ),
    (
        {"larder:cache": {"image-volume": {"images": {"alpha": "registry/alpha:1"}}}},
        "larder:cache.image-volume.images.alpha: 'registry/alpha:1' has no digest, and tags move. Fix: write "
        "name@sha256:<64 hex digits>; `make up` passes those of its own images.",
    ),
    (
        {
            "larder:cluster": {"kubernetes": "1.32"},
            "larder:cache": {"strategy": "image-volume", "image-volume": IMAGES},
        },
        "larder:cache.image-volume: requires Kubernetes 1.33 or newer, but larder:cluster.kubernetes is 1.32. Fix: "
        "upgrade the cluster, or choose strategy node-local or shared-storage.",
    ),
    (
        {"larder:cluster": {"kubernetes": 1.30}},
        "larder:cluster.kubernetes: must be a valid string, not 1.3. Version of the cluster in quotes, as in "
        "'1.36', for checks of a preview. Default: known if embedded.",
    ),
    (
        {"larder:cache": {"strategy": "prebuilt-image"}},
        "larder:cache.prebuilt-image: is missing, but strategy 'prebuilt-image' requires it. Fix: write {image: "
        "<name@sha256:…>} with the reference that `larder-sidecar publish --engine` prints, or choose strategy none.",
    ),
    (
        {"larder:cache": {"prebuilt-image": {"image": "registry/ollama:latest"}}},
        "larder:cache.prebuilt-image.image: 'registry/ollama:latest' has no digest, and tags move. Fix: write "
        "name@sha256:<64 hex digits>; `make up` passes those of its own images.",
    ),
    (
        {
            "larder:cache": {"strategy": "prebuilt-image", "prebuilt-image": {"image": f"registry/ollama@{DIGEST}"}},
            "larder:models": ["alpha", "beta"],
            "larder:ollama": {"models": ["alpha"]},
            "larder:shimmy": {"pool": "cpu", "models": ["beta"]},
            "larder:images": {"llama-server": f"registry/llama-server@{DIGEST}"},
        },
        "larder:cache.prebuilt-image: an image holds one engine, but the file has larder:ollama and "
        "larder:shimmy. Fix: remove one of them, or choose strategy image-volume, whose images every engine mounts.",
    ),
    (
        {"larder:cache": {"strategy": "shared-storage"}},
        "larder:cache.shared-storage: is missing, but strategy 'shared-storage' requires it. Fix: write "
        "{storage-class | nfs: {server, path} | claim, size}, or choose strategy none.",
    ),
    (
        {"larder:cache": {"shared-storage": {"size": "2Gi"}}},
        "larder:cache.shared-storage: has none of nfs, storage-class, claim. Fix: write one of them: nfs: {server, "
        "path}, storage-class: a class that gives ReadWriteMany volumes, or claim: an existing claim.",
    ),
    (
        {"larder:cache": {"shared-storage": {"size": "2Gi", "storage-class": "efs", "nfs": NFS}}},
        "larder:cache.shared-storage: has both nfs and storage-class. Fix: write one of them: nfs: {server, path}, "
        "storage-class: a class that gives ReadWriteMany volumes, or claim: an existing claim.",
    ),
    (
        {"larder:cache": {"shared-storage": {"size": "2Gi", "nfs": NFS | {"path": "/a/../b"}}}},
        "larder:cache.shared-storage.nfs.path: '/a/../b' has '..' in it. Fix: write the exported folder itself.",
    ),
    (
        {
            "larder:cache": {"strategy": "shared-storage", "shared-storage": {"size": "2Gi", "nfs": NFS}},
            "larder:models": ["beta"],
        },
        "larder:cache.shared-storage.size: 2Gi has room for 1.8 GiB of weights (a tenth of it stays free), but "
        "larder:models need 3.0 GiB. "
        "Fix: set size: 4Gi.",
    ),
    (
        {"larder:models": ["alhpa"]},
        f"larder:models[0]: unknown model 'alhpa'. Did you mean 'alpha'? "
        f"Known models: alpha, beta, delta, gamma. {MODELS}",
    ),
    (
        {"larder:models": []},
        f"larder:models: must not be empty. Fix: add an item. {SERVED}",
    ),
    (
        {"larder:models": None},
        f"larder:models: is missing. Fix: add it. {SERVED}",
    ),
    (
        {"larder:models": ["alpha", "beta", "alpha", "beta"]},
        "larder:models: the list repeats 'alpha', 'beta'. Fix: list each model once.",
    ),
    (
        {"larder:models": ["alpha", "delta"]},
        "larder:models: name 'FIRST' stands for both 'alpha' and 'delta'. "
        "The gateway would refuse it: choose other names.",
    ),
    (
        {"larder:cache": {"node-local": {"size": "20GB"}}},
        "larder:cache.node-local.size: '20GB' is not a size. Fix: write a whole number with Ki, Mi, Gi or Ti, "
        "as in 20Gi.",
    ),
    (
        {"larder:cache": {"node-local": {"size": 20}}},
        "larder:cache.node-local.size: 20 is not a size. Fix: write a whole number with Ki, Mi, Gi or Ti, as in 20Gi.",
    ),
    (
        {"larder:cache": {"min-bandwidth": "20MB"}},
        "larder:cache.min-bandwidth: '20MB' is not a bandwidth. "
        "Fix: write a whole number with KiB/s, MiB/s or GiB/s, as in 20MiB/s.",
    ),
    (
        {"larder:cache": {"node-local": {"node": "venis"}}},
        "larder:cache.node-local.node: no node pool provides host 'venis'. Did you mean 'venus'? "
        "Known hosts: mars, pluto, venus. Fix: add it to larder:node-pools or choose one of them.",
    ),
    (
        {"larder:cache": {"node-local": {"path": "/../etc"}}},
        "larder:cache.node-local.path: '/../etc' is not a folder for weights. Fix: write an absolute path of at "
        "least two plain parts without '..', as in /var/lib/larder.",
    ),
    (
        {"larder:cache": {"node-local": {"path": "/var//lib/"}}},
        "larder:cache.node-local.path: '/var//lib/' belongs to the system of the node. "
        "Fix: write a folder of its own, as in /var/lib/larder.",
    ),
    (
        {"larder:cache": {"node-local": {"size": "8388608Ti"}}},
        "larder:cache.node-local.size: '8388608Ti' is too large for Kubernetes. Fix: write less than 8388608Ti.",
    ),
    (
        {"larder:ollama": {"cpu": "1\u0663"}},
        "larder:ollama.cpu: '1٣' is not allowed here. CPU request of the engine's container, as in 2 or 500m. "
        "Default: the largest need of its models. Fix: write text that matches ^[1-9][0-9]{0,5}m?$",
    ),
    (
        {"larder:models": ["beta"]},
        "larder:cache.node-local.size: 2Gi has room for 1.8 GiB of weights (a tenth of it stays free), but "
        "larder:models need 3.0 GiB. Fix: "
        "set size: 4Gi.",
    ),
    (
        {"larder:ollama": {"pool": "cpus"}},
        "larder:ollama.pool: no pool 'cpus' in larder:node-pools. Did you mean 'cpu'? Fix: choose one of cpu, spare.",
    ),
    (
        {"larder:ollama": {"pool": "spare"}},
        "larder:ollama.pool: pool 'spare' (pluto) has none of the nodes where strategy 'node-local' keeps the "
        "weights (venus). Fix: choose a pool with one, or another place in larder:cache.node-local.",
    ),
    (
        {"larder:images": {"ollama": "ollama/ollama:latest"}},
        "larder:images.ollama: 'ollama/ollama:latest' names no version. Fix: write registry/name:version or "
        "name@sha256:<64 hex digits>; `make up` passes those of its own images.",
    ),
    (
        {"larder:images": {"ollama": "ollama@sha256:12"}},
        "larder:images.ollama: 'ollama@sha256:12' is not a digest reference. Fix: write name@sha256:<64 hex "
        "digits>; `make up` passes those of its own images.",
    ),
    (
        {"larder:images": None},
        "larder:images: is missing. Fix: add it. Digest references {sidecar, ollama, …}; `make up` passes those "
        "of the images "
        "that it builds.",
    ),
    (
        {"larder:cluster": {"kind": "on-prem"}},
        "larder:cluster.context: kind on-prem requires a kube context, for the current one is never used. "
        "Fix: add its name.",
    ),
    (
        {"larder:cluster": "embedded"},
        "larder:cluster: must be a mapping, not 'embedded'. Keys: context, kind, kubernetes, location, "
        "name, namespace, node-role, project, region, resource-group, subnets, subscription.",
    ),
    (
        {"larder:gateway": {"routing": {"default": "beta"}}},
        "larder:gateway.routing.default: 'beta' is not among larder:models. Fix: choose one of alpha.",
    ),
    (
        {"larder:gateway": {"routing": {"aliases": {"gpt": "aplha"}}}},
        "larder:gateway.routing.aliases.gpt: 'aplha' is not among larder:models. Did you mean 'alpha'? Fix: "
        "choose one of alpha.",
    ),
    (
        {"larder:gateway": {"routing": {"aliases": {"auto": "alpha"}}}},
        "larder:gateway.routing.aliases: 'auto' cannot be the name of a model: it asks for the default. "
        "The gateway would refuse it: choose other names.",
    ),
    (
        {"larder:gateway": {"cors": {"origins": ["https://app.example/"]}}},
        "larder:gateway.cors.origins[0]: an origin has no path. Fix: write https://app.example.",
    ),
    (
        {"larder:gateway": {"cors": {"origins": ["app.example"]}}},
        "larder:gateway.cors.origins[0]: 'app.example' has no scheme. Fix: write scheme://host[:port], "
        "as browsers send it.",
    ),
    (
        {"larder:gateway": {"cors": {"origins": ["*", "https://app.example"]}}},
        "larder:gateway.cors.origins: '*' already means every origin. Fix: remove it, or the other origins.",
    ),
    (
        {"larder:gateway": {"cors": {"origins": ["*"]}, "auth": {"mutations": "open"}}},
        "larder:gateway.cors: '*' lets any web page load, unload and pull models while auth.mutations is 'open'. "
        "Fix: list the origins, or set auth.mutations: token.",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"pattern": "a(?=b)", "model": "alpha"}]}}},
        "larder:gateway.routing.rules[0].pattern: is not an RE2 pattern: invalid perl operator: (?=. RE2 has no "
        "look-around and no back-reference, which can take for ever. Fix: use several rules",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"pattern": "a", "model": "alhpa"}]}}},
        "larder:gateway.routing.rules[0].model: 'alhpa' names no model. Did you mean 'alpha'? Fix: choose one "
        "of alpha.",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"name": "default", "pattern": "a", "model": "alpha"}]}}},
        "larder:gateway.routing.rules: 'default' is the name of another rule, or reserved. Fix: choose another name",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"header": {"x-a": " b"}, "model": "alpha"}]}}},
        "larder:gateway.routing.rules[0].header.x-a: ' b' is not allowed here. Request headers, each with exactly this "
        "value. Fix: write text that matches ^[!-~]([ -~]{0,254}[!-~])?$",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"model": "alpha"}]}}},
        "larder:gateway.routing.rules[0]: has no condition and would hold for every request. "
        "Fix: write its model as `default`",
    ),
    (
        {"larder:gateway": {"routing": {"rules": [{"pattern": "a", "model": "alpha", "confidence": 0.9}]}}},
        "larder:gateway.routing.rules[0].confidence: unknown key. Fix: use one of endpoint, header, max-characters, "
        "min-characters, model, name, pattern.",
    ),
    (
        {"larder:gateway": {"service": "ClusterIP", "node-port": 30081}},
        "larder:gateway.node-port: has no effect with service ClusterIP. Fix: remove it, or set service: NodePort.",
    ),
    (
        {"larder:cluster": {"kind": "on-prem", "context": "c"}, "larder:gateway": {"node-port": 30081}},
        "larder:gateway.node-port: has no effect with service ClusterIP. Fix: remove it, or set service: NodePort.",
    ),
    (
        {"larder:gateway": {"node-port": 80}},
        "larder:gateway.node-port: must be greater than or equal to 30000, not 80. The port of every node that "
        "leads to the entry, 30000 to 32767; only with NodePort. Default: 30080.",
    ),
    (
        {"larder:hub": {"endpoint": "huggingface.co"}},
        "larder:hub.endpoint: is not the URL of a hub. "
        "Fix: write http(s)://host without a slash at the end, as in https://huggingface.co.",
    ),
    (
        {"larder:hub": {"endpoint": "http://[::1"}},
        "larder:hub.endpoint: is not the URL of a hub. "
        "Fix: write http(s)://host without a slash at the end, as in https://huggingface.co.",
    ),
    (
        {"larder:hub": {"endpoint": "http://:80"}},
        "larder:hub.endpoint: is not the URL of a hub. "
        "Fix: write http(s)://host without a slash at the end, as in https://huggingface.co.",
    ),
    (
        {"larder:hub": {"endpoint": "http://localhost:8090"}},
        "larder:hub.endpoint: is a loopback address, which leads a pod to itself. Fix: write a host that pods reach.",
    ),
    *(
        (
            {"larder:hub": {"endpoint": f"http://{host}:8090"}},
            "larder:hub.endpoint: is a loopback address, which leads a pod to itself. "
            "Fix: write a host that pods reach.",
        )
        for host in ("127.1", "127.9.9.9", "2130706433", "0x7f.1", "0177.0.0.1", "0", "a.localhost", "LOCALHOST")
    ),
    *(
        (
            {"larder:hub": {"endpoint": f"http://[{host}]:8090"}},
            "larder:hub.endpoint: is a loopback address, which leads a pod to itself. "
            "Fix: write a host that pods reach.",
        )
        for host in ("::1", "0:0::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1")
    ),
    *(
        (
            {"larder:hub": {"endpoint": endpoint}},
            "larder:hub.endpoint: is not the URL of a hub. "
            "Fix: write http(s)://host without a slash at the end, as in https://huggingface.co.",
        )
        for endpoint in (
            *("http://hub\\.test", "http://hub.test\\x", "http:\\\\hub.test", "http://hüb.test", "http://hub%2etest"),
            *(
                "http://hub.test/a\\b",
                "http://hub.test/\x7f",
                "http://[::g]",
                "http://[hub.test]",
                "http://[fe80::1%25eth0]",
            ),
        )
    ),
    (
        {"larder:hub": "https://user:hunter2@hub"},
        "larder:hub: must be a mapping, not 'https://…@hub'. Keys: endpoint.",
    ),
    (
        {"larder:hub": {"endpoint": "https://hub:99999"}},
        "larder:hub.endpoint: the port is out of range. Fix: use a port from 1 to 65535.",
    ),
    (
        {"larder:hub": {"endpoint": "https://user:hunter2@hub"}},
        "larder:hub.endpoint: holds a user or password, and it is written into a ConfigMap. Fix: remove them.",
    ),
]


@pytest.mark.parametrize(("changes", "line"), BAD, ids=[line.partition(": ")[0] for _, line in BAD])
def test_an_invalid_setting_is_one_line_with_path_and_fix(changes: dict[str, Any], line: str) -> None:
    assert problems(changes) == [line]


def test_image_volumes_are_accepted_from_the_oldest_version_and_for_an_unknown_one() -> None:
    cache = {"strategy": "image-volume", "image-volume": IMAGES}
    for cluster in ({"kubernetes": "1.33"}, {"kind": "on-prem", "context": "c"}):
        assert problems({"larder:cluster": cluster, "larder:cache": cache}) == []


def test_the_embedded_cluster_is_the_one_that_the_testbed_pins() -> None:
    pinned = tools.pinned("kubernetes", "k8s.io/kubernetes")
    assert pinned.startswith(f"v{KINDS['embedded'].FACTS.kubernetes}.")


def test_a_model_without_sha256_is_accepted_in_dev_only() -> None:
    changes = {"larder:models": ["gamma"]}
    assert problems(changes, stack="dev") == []
    assert problems(changes, stack="prod") == [
        "larder:models[0]: catalog/models/gamma.yaml has no sha256 for gamma.gguf (first-pull), which only stack dev "
        "accepts. Fix: pull it once in dev and write the recorded hash into the entry."
    ]


def test_all_errors_are_reported_at_once() -> None:
    wrong = {
        "larder:cluster": {"kind": "embeded"},
        "larder:modles": [],
        "larder:models": ["alpha", "omega"],
        "larder:cache": {
            "strategy": "nfs",
            "min-bandwith": "1MiB/s",
            "node-local": {"node": "earth", "size": "2 Gi"},
        },
        "larder:images": {"sidecar": "sidecar:1"},
        "larder:ollama": {"pool": "gpu", "cpu": "0"},
        "larder:hub": {"endpoint": "ftp://hub"},
    }
    assert [line.partition(": ")[0] for line in problems(wrong)] == [
        "larder:modles",
        "larder:cluster.kind",
        "larder:models[1]",
        "larder:cache.strategy",
        "larder:cache.node-local.size",
        "larder:cache.min-bandwith",
        "larder:cache.node-local.node",
        "larder:images.sidecar",
        "larder:ollama.cpu",
        "larder:ollama.pool",
        "larder:hub.endpoint",
    ]


def test_an_invalid_block_causes_no_errors_in_dependent_blocks() -> None:
    changes: dict[str, Any] = {"larder:node-pools": {"cpu": {"hosts": []}}}
    assert [line.partition(": ")[0] for line in problems(changes)] == ["larder:node-pools.cpu.hosts"]


def test_an_invalid_catalog_file_is_reported_once_with_the_rest() -> None:
    raw = merged(GOOD, {"larder:models": ["broken", "omega"], "larder:cache": {"strategy": "nfs"}})
    why = Problem("catalog/models/broken.yaml", "hub.files[0].sha256: is missing.")
    found = problems_of(raw, wrong={"broken": (why,)})
    assert found[0] == str(why)
    assert [line.partition(": ")[0] for line in found[1:]] == ["larder:models[1]", "larder:cache.strategy"]
    assert problems_of(merged(GOOD, {"larder:models": ["broken"]}), wrong={"broken": (why,)}) == [str(why)]


def test_an_encrypted_block_is_reported_with_the_rest_and_not_read() -> None:
    raw = merged(GOOD, {"larder:hub": {"endpoint": "hunter2"}, "larder:ollama": {"pool": "gpu"}})
    with pytest.raises(SettingsError) as refused:
        parse(raw, stack="dev", catalog=Catalog(CATALOG), encrypted=frozenset({"larder:hub"}))
    assert [line.partition(": ")[0] for line in refused.value.lines] == ["larder:ollama.pool", "larder:hub"]
    assert "hunter2" not in str(refused.value)


def test_a_missing_key_is_named_in_kebab_case() -> None:
    (line,) = problems_of({**GOOD, "larder:cache": {"strategy": "node-local"}})
    assert line.startswith("larder:cache.node-local: is missing, but strategy 'node-local' requires it.")


def test_every_alias_without_a_model_is_a_line() -> None:
    found = problems({"larder:gateway": {"routing": {"aliases": {"a": "x", "b": "y", "c": "alpha"}}}})
    assert [line.partition(": ")[0] for line in found] == [
        "larder:gateway.routing.aliases.a",
        "larder:gateway.routing.aliases.b",
    ]


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "a.-b", "A", "a_b", "-a", ""])
def test_a_node_name_must_be_valid_for_labels_and_objects(host: str) -> None:
    found = problems({"larder:node-pools": {"cpu": {"hosts": ["venus", host]}}})
    assert [line.partition(": ")[0] for line in found] == ["larder:node-pools.cpu.hosts[1]"]


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/.", "/etc/ssl", "/usr/lib", "/var/log", "/var/lib/kubelet/weights", "/a/b\n", "/a/b:c", "a/b"],
)
def test_a_folder_of_the_system_is_refused(path: str) -> None:
    found = problems({"larder:cache": {"node-local": {"path": path}}})
    assert [line.partition(": ")[0] for line in found] == ["larder:cache.node-local.path"]


@pytest.mark.parametrize("path", ["/mnt/ai-model-cache", "//mnt//ai-model-cache/", "/mnt/./ai-model-cache"])
def test_a_folder_is_normalized(path: str) -> None:
    block = settings({"larder:cache": {"node-local": {"path": path}}}).cache.of(NodeLocalSettings)
    assert block
    assert block.path == "/mnt/ai-model-cache"


def test_a_whole_number_of_cores_needs_no_quotes() -> None:
    block = settings({"larder:ollama": {"cpu": 2}}).blocks["ollama"]
    assert block.cpu == "2"


@pytest.mark.parametrize("host", ["[::1", "[fe80::1%25eth0]:80", ":80", ".", "a b", "exa$mple", "a" * 301, "127.0.0.1"])
def test_a_hub_is_a_host_that_pods_can_reach(host: str) -> None:
    found = problems({"larder:hub": {"endpoint": f"http://{host}"}})
    assert [line.partition(": ")[0] for line in found] == ["larder:hub.endpoint"]


@pytest.mark.parametrize("host", ["10.244.0.1:8090", "[fd00::1]:8090", "hub.ai.svc", "mirror/huggingface", "a" * 253])
def test_a_hub_is_a_name_or_an_address(host: str) -> None:
    assert problems({"larder:hub": {"endpoint": f"http://{host}"}}) == []


def test_keys_are_kebab_case_only() -> None:
    changes = {"larder:cache": {"min_bandwidth": "1MiB/s"}}
    assert problems(changes) == [
        "larder:cache.min_bandwidth: unknown key. Did you mean 'min-bandwidth'? "
        "Fix: use one of image-volume, kserve-cache, min-bandwidth, node-local, prebuilt-image, shared-storage, "
        "strategy."
    ]


def test_defaults_are_filled_in() -> None:
    found = settings()
    assert found.cluster.context == "larder"
    assert found.cluster.namespace == "ai"
    assert found.default_model == "alpha"
    assert (found.service_type, found.node_port) == ("NodePort", 30080)
    assert found.hub.endpoint == "https://huggingface.co"
    assert [entry.id for entry in found.entries] == ["alpha"]


def test_the_default_service_depends_on_the_kind_of_cluster() -> None:
    found = settings({"larder:cluster": {"kind": "on-prem", "context": "team"}})
    assert (found.service_type, found.node_port) == ("ClusterIP", None)


def test_a_volume_may_be_declared_that_the_strategy_does_not_mount() -> None:
    found = settings({"larder:cache": {"strategy": "none"}})
    assert found.cache.of(NodeLocalSettings) is not None
    assert found.weights_hosts is None


def test_a_budget_is_bytes_by_bandwidth_and_two_minutes() -> None:
    found = settings({"larder:cache": {"min-bandwidth": "10MiB/s"}})
    assert found.budget_seconds(0) == 120
    assert found.budget_seconds(25 * 2**20) == 123  # rounded up


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().cluster.namespace = "other"


def test_the_good_config_is_good() -> None:
    assert problems({}) == []
    assert GOOD["larder:images"]["sidecar"].endswith(DIGEST)
