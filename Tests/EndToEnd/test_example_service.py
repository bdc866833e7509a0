"""`examples/systemd` and `examples/container` name what there is: programs, options, files, and
rights that the proxy can live with."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import harness
from harness import ROOT
from service import Place, ask, free_port, manifest

UNITS = os.path.join(ROOT, "examples/systemd")
CONTAINER = os.path.join(ROOT, "examples/container")
INSTALLED = "/usr/local/bin/sluice"


@pytest.fixture
def place():
    made = Place()
    yield made
    made.close()


def unit(name):
    """Keys of a unit with all their values, by section."""
    sections, current = {}, None
    with open(os.path.join(UNITS, name)) as file:
        for line in file.read().splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                current = sections.setdefault(line.strip("[]"), {})
            else:
                key, _, value = line.partition("=")
                assert value, line
                current.setdefault(key, []).append(value)
    return sections


def check_command(words):
    """The options of a command line are those that its help shows."""
    command = [word for word in words if not word.startswith("-")][0]
    help_text = harness.run(command, "--help")
    assert help_text.returncode == 0, command
    for word in words:
        if word.startswith("-"):
            assert re.search(r"(^|[ ,])%s\b" % re.escape(word), help_text.stdout, re.M), word


def test_the_commands_of_the_service_exist():
    service = unit("sluice.service")["Service"]
    for key in ("ExecStart", "ExecStartPre", "ExecReload"):
        for line in service[key]:
            words = shlex.split(line)
            if words[0] == INSTALLED:
                check_command(words[1:])
            else:
                assert os.access(words[0], os.X_OK), words[0]


def test_the_service_is_hardened():
    service = unit("sluice.service")["Service"]
    wanted = {
        "Type": "notify", "NotifyAccess": "main", "ProtectSystem": "strict",
        "NoNewPrivileges": "yes", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
        "AmbientCapabilities": "CAP_NET_BIND_SERVICE", "PrivateTmp": "yes",
        "RuntimeDirectory": "sluice", "SystemCallFilter": "@system-service",
        "MemoryDenyWriteExecute": "yes", "RestartPreventExitStatus": "78",
    }
    assert {key: service.get(key) for key in wanted} == {k: [v] for k, v in wanted.items()}


def installed_units(place):
    """Copies that name the program and a manifest that are there."""
    folder = place.file("units")
    os.mkdir(folder)
    path = place.write(manifest())
    for name in ("sluice.service", "sluice.socket"):
        with open(os.path.join(UNITS, name)) as file:
            text = file.read().replace(INSTALLED, place.binary)
        with open(os.path.join(folder, name), "w") as file:
            file.write(text.replace("/etc/sluice/sluice.json5", path))
    return folder


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="systemd is not there")


@needs_systemd
@pytest.mark.parametrize("name", ["sluice.service", "sluice.socket"])
def test_systemd_understands_the_units(place, name):
    folder = installed_units(place)
    ended = subprocess.run(["systemd-analyze", "verify", os.path.join(folder, name)],
                           capture_output=True, text=True)
    ours = [line for line in ended.stderr.splitlines() if "sluice" in line]
    assert ours == []


@needs_systemd
def test_systemd_finds_the_service_safe(place):
    path = os.path.join(installed_units(place), "sluice.service")
    ended = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path],
                           capture_output=True, text=True)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", ended.stdout)
    assert found, ended.stdout + ended.stderr
    # Of 10; a service with nothing taken away has 9.6.
    assert float(found.group(1)) <= 2.5, ended.stdout


def test_the_sockets_are_addresses_of_listeners(place):
    listeners = [{"listen": address} for address in unit("sluice.socket")["Socket"]["ListenStream"]]
    path = place.write(manifest(listeners=listeners))
    ended = place.run("check", "--no-bind", "-m", path)
    assert ended.returncode == 0, ended.stderr


# PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN (Linux 6.3): what MemoryDenyWriteExecute= does.
NO_NEW_CODE = ("import ctypes, os, sys;"
               "sys.exit(9) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else"
               " os.execv(sys.argv[1], sys.argv[1:])")


def test_plugins_are_loaded_without_memory_that_is_written_and_run(place):
    prefix = (sys.executable, "-c", NO_NEW_CODE)
    if subprocess.run([*prefix, "/bin/true"]).returncode == 9:
        pytest.skip("the kernel cannot deny it")
    port = free_port()
    path = place.write(manifest(listeners=[{"listen": "127.0.0.1:%d" % port}]))
    place.start("run", "-m", path, prefix=prefix)
    assert ask(("127.0.0.1", port)) == "ok"


def dockerfile():
    with open(os.path.join(CONTAINER, "Dockerfile")) as file:
        text = re.sub(r"\\\n", " ", file.read())
    return [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_dockerfile_names_what_there_is():
    lines = dockerfile()
    entry = json.loads(dict(lines)["ENTRYPOINT"])
    command = json.loads(dict(lines)["CMD"])
    check_command(command)
    copied = {}
    for instruction, rest in lines:
        if instruction == "COPY" and not rest.startswith("--from"):
            source, to = rest.split()
            assert os.path.exists(os.path.join(ROOT, source)), source
            copied[to] = source
        elif instruction == "COPY":
            _, source, to = rest.split()
            # As `make install` has put it there.
            assert source == "/out" + to
            copied[to] = source
    assert entry[0] in copied and command[-1] in copied
    with open(os.path.join(ROOT, "Makefile")) as file:
        targets = re.findall(r"^([a-z-]+):", file.read(), re.M)
    for instruction, rest in lines:
        for target in re.findall(r"\bmake ([a-z-]+) ?(?:DESTDIR|&&)", rest):
            assert target in targets


def test_the_image_has_the_libraries():
    packages = {"libssl.so.3": "libssl3", "libcrypto.so.3": "libssl3",
                "libstdc++.so.6": "libstdc++6"}
    # Of libc6 and libgcc-s1, which every Debian image has.
    always = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "linux-vdso.so.1"}
    last = [rest for instruction, rest in dockerfile() if instruction == "RUN"][-1]
    for line in subprocess.run(["ldd", harness.BINARY], capture_output=True,
                               text=True).stdout.splitlines():
        name = line.split()[0]
        if not name.startswith("/") and name not in always:
            assert packages[name] in last.split(), name


def test_the_manifest_of_the_container_is_served(place):
    port = free_port()
    with open(os.path.join(CONTAINER, "sluice.json5")) as file:
        text = file.read()
    assert '":8080"' in text
    text = text.replace('":8080"', '"127.0.0.1:%d"' % port)
    with open(place.file("container.json5"), "w") as file:
        file.write(text.replace("version: 1,", "version: 1, plugin_dir: %r," % place.path))
    place.start("run", "-m", place.file("container.json5"))
    assert ask(("127.0.0.1", port)) == "hello from a container\n"
