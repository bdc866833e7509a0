"""Which files of libraries are taken: who may write them, and who has signed them."""
import base64
import os
import shutil
import subprocess

import pytest

import harness
from certificates import openssl
from harness import manifest, serve
from wire import reply

ROOT = os.getuid() == 0


@pytest.fixture
def library(tmp_path):
    """A copy of a real plugin in a folder of its own."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    return shutil.copy(os.path.join(harness.PLUGINS, "libHeaders.so"), folder)


def checked(tmp_path, library, **over):
    """What `sluice check` says of a manifest with this library: (status, lines)."""
    path = str(tmp_path / "sluice.json")
    with open(path, "w") as file:
        file.write(harness.json.dumps(
            manifest("127.0.0.1:9", plugins={"a": {"library": str(library)}}, chain=["a"],
                     **over)))
    done = harness.run("check", "--no-bind", "--manifest", path)
    start = path + ": "
    return done.returncode, [line[len(start):] if line.startswith(start) else line
                             for line in done.stderr.splitlines()]


# ------------------------------------------------------------------ permissions
def test_a_library_that_others_can_change(tmp_path, library):
    folder = os.path.dirname(library)
    line = "plugins.a: %s: " % library
    assert checked(tmp_path, library) == (0, [])
    os.chmod(library, 0o666)
    assert checked(tmp_path, library) == (
        78, [line + "everybody may write it (mode 0666); chmod go-w " + library])
    assert checked(tmp_path, library, plugin_permissions="off") == (0, [])
    os.chmod(library, 0o755)
    os.chmod(folder, 0o777)
    assert checked(tmp_path, library) == (
        78, [line + "the folder %s: everybody may write it (mode 0777); chmod go-w %s"
             % (folder, folder)])
    os.chmod(folder, 0o1777)
    assert checked(tmp_path, library) == (
        78, [line + "the folder %s: others may put files into it (mode 01777); move the library to "
             "a folder of its own" % folder])
    os.chmod(folder, 0o755)
    # The folder above could be given another folder of that name.
    os.chmod(tmp_path, 0o777)
    status, lines = checked(tmp_path, library)
    os.chmod(tmp_path, 0o700)
    assert status == 78 and "the folder %s: everybody may write it" % tmp_path in lines[0]


def test_the_plugin_folder_and_a_link_in_it(tmp_path, library):
    links = tmp_path / "links"
    links.mkdir()
    (links / "libHeaders.so").symlink_to(library)
    over = {"plugin_dir": str(links)}
    assert checked(tmp_path, "libHeaders.so", **over) == (0, [])
    os.chmod(links, 0o777)
    status, lines = checked(tmp_path, "libHeaders.so", **over)
    assert status == 78 and "the folder %s: everybody may write it" % links in lines[0]
    os.chmod(links, 0o755)
    os.chmod(os.path.dirname(library), 0o757)
    status, lines = checked(tmp_path, "libHeaders.so", **over)
    assert status == 78 and "/plugins: everybody may write it" in lines[0]


@pytest.mark.skipif(not ROOT, reason="only root may give files away")
def test_owners_and_groups(tmp_path, library):
    line = "plugins.a: %s: " % library
    os.chmod(library, 0o775)
    assert checked(tmp_path, library) == (0, [])
    os.chown(library, 0, 50)
    assert checked(tmp_path, library) == (
        78, [line + "group 50 may write it (mode 0775); chmod g-w " + library])
    os.chown(library, 1001, 0)
    assert checked(tmp_path, library) == (
        78, [line + "belongs to user 1001, who is neither root nor the user of this process (0); "
             "chown root " + library])


def test_a_process_that_serves_was_checked_too(tmp_path, library, sluice, origin):
    os.chmod(library, 0o777)
    with pytest.raises(AssertionError, match="everybody may write it"):
        sluice(origin(serve(lambda r: reply(b"x"))),
               plugins={"a": {"library": library}}, chain=["a"])


def test_inspect_tells(library):
    assert "permissions: good" in harness.run("plugin", "inspect", library).stdout
    os.chmod(library, 0o777)
    out = harness.run("plugin", "inspect", library)
    assert out.returncode == 0
    assert "permissions: %s: everybody may write it" % library in out.stdout


# ------------------------------------------------------------------ signatures
class Signer:
    """A key as the documentation makes it."""

    def __init__(self, folder, name):
        self.private = str(folder / (name + ".key"))
        self.public = str(folder / (name + ".pem"))
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)
        der = openssl("pkey", "-in", self.private, "-pubout", "-outform", "DER").stdout
        self.text = "ed25519:" + base64.b64encode(der[-32:]).decode()

    def sign(self, path):
        openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", path,
                "-out", path + ".sig")


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path, "own")


@pytest.mark.parametrize("form", ["public", "text"])
def test_a_signed_library(tmp_path, library, signer, form):
    keys = [getattr(signer, form)]
    signer.sign(library)
    assert checked(tmp_path, library, trusted_keys=keys) == (0, [])
    with open(library + ".sig", "rb") as file:
        text = base64.b64encode(file.read())
    for end in (b"", b"\n"):
        with open(library + ".sig", "wb") as file:
            file.write(text + end)
        assert checked(tmp_path, library, trusted_keys=keys) == (0, [])
    # Another key beside it does no harm, and alone does not do.
    other = Signer(tmp_path, "other")
    assert checked(tmp_path, library, trusted_keys=[other.text] + keys) == (0, [])
    assert checked(tmp_path, library, trusted_keys=[other.text]) == (
        78, ["plugins.a: %s: its signature (%s.sig) is not of this file by one of the trusted_keys"
             % (library, library)])


def test_a_signature_is_of_every_byte(tmp_path, library, signer):
    signer.sign(library)
    with open(library, "ab") as file:
        file.write(b"\0")
    status, lines = checked(tmp_path, library, trusted_keys=[signer.public])
    assert status == 78 and "is not of this file" in lines[0]


@pytest.mark.parametrize("content,reason", [
    (None, "the signature can't be read: No such file or directory"),
    (b"", "no Ed25519 signature: 64 bytes are wanted, or their base64"),
    (b"x" * 63, "no Ed25519 signature: 64 bytes are wanted, or their base64"),
    (b"x" * 65, "no Ed25519 signature: 64 bytes are wanted, or their base64"),
    (b"A" * 88, "no Ed25519 signature: 64 bytes are wanted, or their base64"),
    (b"A" * 100, "the signature can't be read: File too large"),
])
def test_no_signature(tmp_path, library, signer, content, reason):
    if content is not None:
        with open(library + ".sig", "wb") as file:
            file.write(content)
    assert checked(tmp_path, library, trusted_keys=[signer.public]) == (
        78, ["plugins.a: %s.sig: %s" % (library, reason)])


@pytest.mark.parametrize("keys,reason", [
    ([], "trusted_keys: at least 1 is needed"),
    (["ed25519:AAAA"], "trusted_keys[0]: \"ed25519:AAAA\" is not an Ed25519 key"),
    (["nowhere.pem"], "trusted_keys[0]: %s/nowhere.pem: No such file or directory"),
    (["ca.pem"], "trusted_keys[0]: %s/ca.pem: has no public key in PEM form"),
])
def test_keys_that_are_none(tmp_path, library, signer, ca, keys, reason):
    """Nothing is loaded: also a plugin whose signature would be good."""
    shutil.copy(ca.path, tmp_path / "ca.pem")
    signer.sign(library)
    status, lines = checked(tmp_path, library, trusted_keys=[*keys, signer.public] if keys else [])
    assert status == 78 and len(lines) == 1
    assert (reason % tmp_path if "%" in reason else reason) in lines[0]


def test_the_proxy_serves_with_signed_libraries_only(library, signer, sluice, client, origin):
    app = origin(serve(lambda r: reply(b"x")))
    over = {"plugins": {"a": {"library": library}}, "chain": ["a"],
            "trusted_keys": [signer.text]}
    signer.sign(library)
    assert client(sluice(app, **over)).request().status == 200
