"""From an empty folder to an answer with the plugin's field: what docs/plugin-quick-start.md shows,
in each language, with an installed Sluice and with the SDK's own repository."""
import os
import re
import shlex
import shutil
import subprocess

import pytest

import harness
from harness import ROOT

LISTEN = 'listen: "127.0.0.1:8080"'
IDENTITY = {"GIT_%s_%s" % (who, what): "test@example.org"
            for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
BUILDS = {
    "swift": ([], [["swift", "test"], ["swift", "build", "-c", "release"]],
              ".build/release/libHello.so"),
    "c": (["--c"], [["make", "test"], ["make"]], ".build/libhello.so"),
    "rust": (["--rust"], [["cargo", "test"], ["cargo", "build", "--release"]],
             "target/release/libhello.so"),
}


def shell(command, folder, **environment):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280,
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, "%s\n%s%s" % (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """An installed Sluice, and nothing else of this tree."""
    folder = tmp_path_factory.mktemp("installed")
    shell(["make", "install", "PREFIX=%s" % folder], ROOT)
    return folder


class Serving(harness.Sluice):
    """`sluice run` in a folder, with its manifest as it is but for the port."""

    def __init__(self, binary, folder):
        path = os.path.join(str(folder), "sluice.json5")
        with open(path) as file:
            text = file.read()
        assert LISTEN in text
        with open(path, "w") as file:
            file.write(text.replace(LISTEN, 'listen: "127.0.0.1:0"'))
        serving = "cd %s && exec %s run" % (shlex.quote(str(folder)), shlex.quote(str(binary)))
        super().__init__(folder, {}, prefix=("sh", "-c", serving))


@pytest.fixture
def serving():
    made = []

    def start(binary, folder):
        made.append(Serving(binary, folder))
        return made[-1]

    yield start
    for one in made:
        one.close()


def new(binary, folder, *options, code=0):
    done = subprocess.run([str(binary), "plugin", "new", *options], cwd=folder, text=True,
                          capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def curl(proxy):
    return shell(["curl", "-si", "http://%s:%d/" % proxy.address], "/")


# ------------------------------------------------------------------ transcripts
def test_the_page_shows_what_is_tested():
    with open(os.path.join(ROOT, "docs/plugin-quick-start.md")) as file:
        typed = re.findall(r"^\$ (.*)$", file.read(), re.MULTILINE)
    expected = []
    for language in ("swift", "c", "rust"):
        options, commands, _ = BUILDS[language]
        expected += [" ".join(["sluice plugin new hello", *options]), "cd hello"]
        expected += [" ".join(command) for command in commands] + ["sluice run"]
        if language == "swift":
            expected.append("curl -i http://127.0.0.1:8080/")
    assert typed == expected


def test_the_rust_example_is_what_is_made(tmp_path):
    """But for what it is called: whoever mends one mends the other."""
    new(harness.BINARY, tmp_path, "hello", "--rust")
    for name in ("src/lib.rs", "src/tests.rs"):
        made = (tmp_path / "hello" / name).read_text()
        for ours, its in (("A plugin for Sluice:", "A plugin in Rust, without crates:"),
                          ("org.example.hello", "org.example.hello-rust"),
                          ("Sets x-hello in every", "Says hello in a field of every"),
                          ('"hello"', '"hello from Rust"')):
            made = made.replace(ours, its)
        with open(os.path.join(ROOT, "examples/hello-plugin-rust", name)) as file:
            assert made == file.read()


@pytest.mark.compiles
@pytest.mark.seconds(300)
@pytest.mark.parametrize("language", sorted(BUILDS))
def test_from_an_empty_folder(tmp_path, prefix, serving, language):
    options, commands, library = BUILDS[language]
    binary = prefix / "bin/sluice"
    shown = new(binary, tmp_path, "hello", *options)
    folder = tmp_path / "hello"
    next_ = shown.split("\nNext:\n")[1].split("\n")
    assert [line.strip() for line in next_ if line] == (
        ["cd hello"] + [" ".join(command) for command in commands] + ["sluice run"])
    for name in re.findall(r"^  (\S+)$", shown.split("\nNext:")[0], re.MULTILINE):
        assert (folder / name).is_file()
        assert ROOT not in (folder / name).read_text()
    for command in commands:
        shell(command, folder)
    checked = subprocess.run([binary, "check", "--no-bind"], cwd=folder, capture_output=True,
                             text=True)
    assert checked.returncode == 0, checked.stderr
    inspected = shell([binary, "plugin", "inspect", "--load", library], folder)
    assert "org.example.hello\n" in inspected and "handshake:   the same" in inspected
    answer = curl(serving(binary, folder))
    assert answer.startswith("HTTP/1.1 200 OK") and "\nx-hello: good morning" in answer


def repository(folder):
    """The SDK as `scripts/sdk-release` publishes it."""
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".build*", "Package.resolved", "target", "Cargo.lock",
                                     "__pycache__")
    shutil.copytree(os.path.join(ROOT, "SDK"), tree / "SDK", ignore=ignored)
    shutil.copytree(os.path.join(ROOT, "scripts"), tree / "scripts", ignore=ignored)
    (tree / "docs").mkdir()
    shutil.copy(os.path.join(ROOT, "docs/abi-reference.md"), tree / "docs")
    shutil.copy(os.path.join(ROOT, "LICENSE"), tree)
    for command in (["git", "init", "-q"], ["git", "add", "-A"], ["git", "commit", "-qm", "a"]):
        shell(command, tree, **IDENTITY)
    bare = folder / "sluice-sdk.git"
    shell(["git", "init", "-q", "--bare", str(bare)], folder)
    return tree, "file://%s" % bare


def release(tree, url, version, code=0):
    done = subprocess.run(["scripts/sdk-release", version, url], cwd=tree, capture_output=True,
                          text=True, env={**os.environ, **IDENTITY}, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.compiles
@pytest.mark.seconds(300)
def test_the_sdk_by_address_and_version(tmp_path):
    tree, url = repository(tmp_path)
    release(tree, url, "0.1.0")
    for language, options, commands, library in (
            ("swift", [], [["swift", "build", "-c", "release"]], ".build/release/libHello.so"),
            ("rust", ["--rust"], [["cargo", "build", "--release"]], "target/release/libhello.so")):
        home = tmp_path / language
        home.mkdir()
        new(harness.BINARY, home, "hello", "--sdk", url, *options)
        for command in commands:
            shell(command, home / "hello", CARGO_HOME=str(tmp_path / "cargo"))
        assert harness.run("plugin", "inspect", "--load",
                           str(home / "hello" / library)).returncode == 0


def test_publishing_the_sdk(tmp_path):
    tree, url = repository(tmp_path)
    assert "'0.1' is not a version such as 0.1.0" in release(tree, url, "0.1", 1)
    assert "has another version than 9.9.9" in release(tree, url, "9.9.9", 1)
    release(tree, url, "0.1.0")
    assert "0.1.0 is published already" in release(tree, url, "0.1.0", 1)
    bare = url[len("file://"):]
    names = shell(["git", "ls-tree", "--name-only", "0.1.0"], bare).split()
    assert {"Package.swift", "LICENSE", "Sources", "Rust"} <= set(names)

    cargo = tree / "SDK/Rust/Cargo.toml"
    cargo.write_text(cargo.read_text().replace('version = "0.1.0"', 'version = "0.1.1"'))
    assert "SDK has changes that are not committed" in release(tree, url, "0.1.1", 1)
    shell(["git", "commit", "-qam", "b"], tree, **IDENTITY)
    release(tree, url, "0.1.1")
    assert shell(["git", "log", "--format=%s", "main"], bare) == "SDK 0.1.1\nSDK 0.1.0\n"


def test_installed_headers_by_pkg_config(tmp_path, prefix):
    environment = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = shell(["pkg-config", "--cflags", "sluice"], "/", **environment).split()
    source = tmp_path / "hello.c"
    shutil.copy(os.path.join(ROOT, "examples/hello-plugin-c/hello.c"), source)
    library = tmp_path / "libhello.so"
    shell(["gcc", *flags, "-fPIC", "-fvisibility=hidden", "-shared", "-o", str(library),
           str(source)], tmp_path)
    assert harness.run("plugin", "inspect", "--load", str(library)).returncode == 0
    assert shell(["pkg-config", "--variable=sdkdir", "sluice"], "/", **environment).strip() == str(
        prefix / "share/sluice/SDK")
    assert (prefix / "share/sluice/SDK/Package.swift").is_file()
    version = shell(["pkg-config", "--modversion", "sluice"], "/", **environment).strip()
    assert harness.run("version").stdout.startswith("sluice %s " % version)


# ------------------------------------------------------------------ refusals
@pytest.mark.parametrize("name", [
    "Hello", "1st", "a_b", "-a", "a-", "a--b", "a-1", "../a", "a/b", "é", "a b"])
def test_names_that_no_package_can_have(tmp_path, name):
    error = new(harness.BINARY, tmp_path, "--", name, code=2)
    assert error == ("sluice: \"%s\" is not a name such as \"rate-limit\": words of a-z and 0-9 "
                     "that begin with a letter, with \"-\" between them\n" % name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments,code,error", [
    (["swift"], 2, '"swift" is taken; choose another name'),
    (["a" * 41], 2, '"%s" has 41 characters, at most 40 are possible' % ("a" * 41)),
    (["a", "--c", "--rust"], 2, "--c and --rust exclude each other"),
    (["a", "--c", "--sdk", "https://example.org/sdk.git"], 2,
     "--sdk of a plugin in C is a folder: there is no package to fetch"),
    (["a", "--sdk", 'x"y'], 2,
     '--sdk "x\\"y" has a blank or another character that can\'t be used'),
    (["a", "--sdk", "/nowhere"], 1, '--sdk "/nowhere": there is no Sluice SDK (no '
     "Sources/CSluice/include/sluice/sluice.h in it)"),
    (["full"], 1, "full: exists already, and is not an empty folder"),
    (["file"], 1, "file: exists already, and is not an empty folder"),
])
def test_what_is_not_made(tmp_path, arguments, code, error):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    (tmp_path / "file").touch()
    assert new(harness.BINARY, tmp_path, *arguments, code=code) == "sluice: %s\n" % error
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / ("a" * 40)).mkdir()
    new(harness.BINARY, tmp_path, "a" * 40, "--c", "--sdk", os.path.join(ROOT, "SDK"))
    assert "Makefile" in os.listdir(tmp_path / ("a" * 40))


def test_an_executable_without_an_sdk_says_so(tmp_path):
    shutil.copy(harness.BINARY, tmp_path / "sluice")
    error = new(tmp_path / "sluice", tmp_path, "a", code=1)
    assert error == ("sluice: no SDK beside this executable (looked for %s/../share/sluice/SDK); "
                     "say where it is with --sdk\n" % tmp_path)
