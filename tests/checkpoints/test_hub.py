"""Networks on the hub: a stub on loopback, its cache, offline use; cards and pushing."""

import hashlib
import http.server
import json
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
import yaml

from support import picture_files as files
from vmambair_arch import Restorer, Restormer, VmambaIR, cli, save_network
from vmambair_arch.checkpoints import hub, read_file
from vmambair_arch.commands import networks
from vmambair_arch.commands.card import formats
from vmambair_arch.commands.card.facts import gather
from vmambair_arch.errors import InputError
from vmambair_arch.restoring import models

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "a" * 40
PLAIN = """
from torch import nn
from basicsr.utils.registry import ARCH_REGISTRY

@ARCH_REGISTRY.register()
class PlainConv(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=bias)

    def forward(self, x):
        return self.conv(x)
"""


class Stub(http.server.BaseHTTPRequestHandler):
    """The part of the hub that a download needs."""

    files: dict[str, bytes] = {}  # by repo/name
    asked: list[str] = []

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body: bool):
        Stub.asked.append(self.path)
        _, _, listed = self.path.partition("/api/models/")
        if listed:
            name = listed.partition("/tree/")[0]
            paths = [f.rsplit("/", 1)[1] for f in self.files if f.startswith(f"{name}/")]
            entries = [{"type": "file", "path": path, "size": 0, "oid": "0"} for path in paths]
            return self.send(200, json.dumps(entries).encode(), {})
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if not any(known.startswith(f"{repo}/") for known in self.files):
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if unquote(revision) not in ("main", "v1", "refs/pr/1", "a/branch", COMMIT):
            return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        content = self.files.get(f"{repo}/{name}")
        if content is None:
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        self.send(200, content if with_body else b"", {"ETag": f'"{etag}"'}, len(content))

    def send(self, status: int, body: bytes, headers: dict, length: int | None = None):
        self.send_response(status)
        for name, value in {**headers, "X-Repo-Commit": COMMIT}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def stub(endpoint, empty_folder, tmp_path, monkeypatch):
    """A hub with repositories of an identity; its cache is the test's own."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)  # set by HF_ENDPOINT and HF_HOME
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    content = Path(files.saved_identity(tmp_path, 2)).read_bytes()
    Stub.files = {
        "user/name/model.safetensors": content,
        "user/other/x2.safetensors": content,
        "user/many/a.pth": b"",
        "user/many/b.pth": b"",
        "user/none/README.md": b"",
    }
    Stub.asked = []
    return Stub


def test_a_network_is_downloaded_once_and_its_revision_can_be_pinned(stub):
    network = VmambaIR.from_pretrained("user/name", revision=COMMIT)
    assert network.scale == 2 and not network.training
    asked = len(stub.asked)
    assert Restorer(f"hf:user/name@{COMMIT}", device="cpu").scale == 2
    assert len(stub.asked) == asked  # a commit never changes: the cache suffices
    assert Restorer("hf:user/name@v1/model.safetensors", device="cpu").scale == 2
    with pytest.raises(InputError, match="is a VmambaIR, not a Restormer"):
        Restormer.from_pretrained("user/name")


def test_a_pull_request_and_a_branch_with_a_slash_are_revisions(stub):
    for file in ("", "/model.safetensors"):
        assert hub.download(f"hf:user/name@refs/pr/1{file}").name == "model.safetensors"
    assert VmambaIR.from_pretrained("user/name", revision="a/branch").scale == 2


def test_a_trained_network_of_a_plugin_is_built_from_the_hub(stub, monkeypatch):
    from basicsr.utils.registry import ARCH_REGISTRY

    monkeypatch.setattr(ARCH_REGISTRY, "_obj_map", {**ARCH_REGISTRY._obj_map})
    Path("plain.py").write_text(PLAIN)
    about = {"options": {"network_g": {"type": "PlainConv", "bias": False}}}
    params = {"conv.weight": torch.ones(3, 3, 1, 1)}
    torch.save({"params": params, "about": about}, "plain.pth")
    stub.files = {"user/plain/net_g.pth": Path("plain.pth").read_bytes()}
    network = networks.load("hf:user/plain", ["plain.py"])
    assert type(network.network).__name__ == "PlainConv"


def test_the_only_file_of_weights_is_used_whatever_its_name(stub):
    assert hub.download("user/other").name == "x2.safetensors"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("hf:name", "hf:name: is not an address; give hf:user/name"),
        ("hf:user/gone", "there is no such repository, or it is private: hf auth login"),
        ("hf:user/name@v9", "there is no such revision"),
        ("hf:user/name/other.pth", "there is no such file in the repository"),
        ("hf:user/many", "has no model.safetensors; give one of a.pth, b.pth (hf:user/many/FILE)"),
        ("hf:user/none", "give another: it has no weights"),
    ],
)
def test_what_does_not_exist_is_one_sentence(stub, address, sentence):
    with pytest.raises(InputError) as error:
        models.file(address)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_offline_the_cache_is_used_or_reported_as_missing(stub, monkeypatch):
    hub.download("user/name")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.download("user/name").name == "model.safetensors"
    with pytest.raises(InputError, match="is not in the cache, and the hub cannot be reached"):
        hub.download("user/other/x2.safetensors")


def test_a_folder_and_a_file_are_networks_too_and_the_package_may_be_missing(
    empty_folder, monkeypatch
):
    Path("local").mkdir()
    save_network(files.identity(2), "local/model.safetensors")
    assert VmambaIR.from_pretrained("local").scale == 2
    assert VmambaIR.from_pretrained("local/model.safetensors").scale == 2
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'vmambair-arch\[hub\]'"):
        VmambaIR.from_pretrained("user/name")


def trained() -> str:
    """A checkpoint as a training writes it."""
    network = files.identity(2)
    train = {"optim_g": {"type": "AdamW"}, "pixel_opt": {"type": "L1Loss"}}
    train["losses"] = {"lpips": {"type": "LPIPSLoss", "loss_weight": 0.1}}
    options = {"name": "doubling", "train": train, "precision": "bf16"}
    about = {"options": options, "versions": {"torch": "2.14"}, "iteration": 3000}
    content = {"params": network.state_dict(), "config": network.config, "about": about}
    torch.save(content, "net_g.pth")
    return "net_g.pth"


TOLD = [
    "--author", "Ada", "--license", "cc-by-4.0", "--data", "photographs | films",
    "--example", "a.png", "b.png",
]  # fmt: skip


def test_a_card_says_what_the_file_knows_and_asks_for_the_rest(empty_folder, capsys):
    outputs = ["-o", "README.md", "-o", "doubling.json", "-o", "doubling.safetensors"]
    assert cli.vmambair(["card", trained(), *outputs, *TOLD]) == 0
    assert "not given and left out: description (--description)" in capsys.readouterr().err
    _, head, text = Path("README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc-by-4.0"
    digest = hashlib.sha256(Path("net_g.pth").read_bytes()).hexdigest()
    for fact in ("# doubling", "| iterations | 3,000 |", "L1Loss, LPIPSLoss", "AdamW", digest):
        assert fact in text
    assert r"| photographs \| films |" in text
    assert "![before](<a.png>) ![after](<b.png>)" in text
    entry = json.loads(Path("doubling.json").read_text())
    assert (entry["scale"], entry["author"], entry["trainingIterations"]) == (2, "Ada", 3000)
    assert entry["resources"][0]["sha256"] == digest
    assert entry["images"] == [{"type": "paired", "LR": "a.png", "SR": "b.png"}]
    from safetensors import safe_open

    with safe_open("doubling.safetensors", "pt") as file:
        assert file.metadata()["modelspec.author"] == "Ada"
    assert read_file(Path("doubling.safetensors"))["config"] == json.dumps(files.identity(2).config)


@pytest.mark.parametrize(
    ("license", "spdx"),
    [("apache-2.0", "Apache-2.0"), ("BSD-3-Clause", "BSD-3-Clause"), ("mit", "MIT")],
)
def test_openmodeldb_gets_spdxs_names_of_licences(empty_folder, license, spdx):
    facts = gather(Path(trained()), license=license)
    assert json.loads(formats.openmodeldb(facts))["license"] == spdx


def test_a_card_of_a_file_with_other_notes_leaves_them_out(empty_folder):
    content = torch.load(trained(), weights_only=True)
    torch.save({**content, "about": {"options": ["a"], "versions": 3}}, "net_g.pth")
    facts = gather(Path("net_g.pth"))
    assert (facts.name, facts.losses, facts.versions) == ("net_g", (), {})


def test_a_network_of_a_plugin_that_was_trained_here_has_a_card(empty_folder, monkeypatch, capsys):
    from basicsr.utils.registry import ARCH_REGISTRY

    monkeypatch.setattr(ARCH_REGISTRY, "_obj_map", {**ARCH_REGISTRY._obj_map})
    about = {"options": {"network_g": {"type": "PlainConv", "bias": False}}}
    torch.save({"params": {"conv.weight": torch.ones(3, 3, 1, 1)}, "about": about}, "plain.pth")
    Path("plain.py").write_text(PLAIN)
    assert cli.vmambair(["card", "plain.pth"]) == 2
    assert "its network is PlainConv, which is not registered" in capsys.readouterr().err
    assert cli.vmambair(["card", "plain.pth", "--plugin", "plain.py"]) == 0
    card = capsys.readouterr().out
    assert "PlainConv, 9 parameters: restores at equal size." in card
    assert "| channels in, out | 3, 3 |" in card and "bias False" in card


def test_no_output_of_a_card_is_written_if_one_is_refused(empty_folder, capsys):
    network = pytest.importorskip("spandrel.architectures.Compact").Compact(num_feat=4, num_conv=1)
    torch.save(network.state_dict(), "compact.pth")
    assert cli.vmambair(["card", "compact.pth", "-o", "a.md", "-o", "a.safetensors"]) == 2
    assert "not a checkpoint of VmambaIR" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["compact.pth"]


def test_a_card_without_an_output_is_printed_and_bad_names_are_refused(empty_folder, capsys):
    assert cli.vmambair(["card", "tiny_x4"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("---\n") and "author (--author)" in told.err
    for output, sentence in (("card.txt", "must end in one of"), ("no/README.md", "no folder")):
        assert cli.vmambair(["card", "tiny_x4", "-o", output]) == 2
        assert sentence in capsys.readouterr().err


def test_push_sends_the_network_and_its_card(empty_folder, monkeypatch, capsys):
    sent = {}

    class Api:
        public = False

        def create_repo(self, name, **how):
            sent["repository"] = name, how

        def repo_info(self, name):
            return type("Info", (), {"private": not self.public})

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            sent.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
            return type("Commit", (), {"oid": COMMIT})

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert cli.vmambair(["push", trained(), "user/name", "--private", *TOLD]) == 0
    assert capsys.readouterr().out == f"hf:user/name@{COMMIT}\n"
    assert sent["repository"] == ("user/name", {"private": True, "exist_ok": True})
    assert b"-m hf:user/name" in sent["README.md"]
    Path("model.safetensors").write_bytes(sent["model.safetensors"])
    assert VmambaIR.from_pretrained("model.safetensors").scale == 2
    digest = hashlib.sha256(sent["model.safetensors"]).hexdigest().encode()
    assert digest in sent["README.md"] and b"| model.safetensors, " in sent["README.md"]

    monkeypatch.setattr(Api, "public", True)
    sent.clear()
    assert cli.vmambair(["push", "net_g.pth", "user/name", "--private"]) == 2
    assert "user/name: is a public repository; make it private" in capsys.readouterr().err
    assert "model.safetensors" not in sent

    def refuse(self, name, **how):
        raise OSError("401 Client Error\nmore")

    monkeypatch.setattr(Api, "create_repo", refuse)
    assert cli.vmambair(["push", "net_g.pth", "user/name"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "user/name: the hub does not accept it: 401 Client Error; check" in line
