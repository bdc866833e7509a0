"""What libraries do to a process that serves: the first load of a new one, the memory of old
ones."""
import hashlib
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import eventually, manifest, serve
from wire import reply

SOURCE = os.path.join(os.path.dirname(__file__), "plugins/first_load.c")
INCLUDE = os.path.join(harness.ROOT, "SDK/Sources/CSluice/include")


@pytest.fixture
def build(tmp_path):
    """Puts a library in place of the one before; each is a file of its own."""
    count = [0]

    def make(at="NOWHERE", act="", *options):
        count[0] += 1
        new, path = str(tmp_path / "new.so"), str(tmp_path / "lib.so")
        built = subprocess.run(
            ["gcc", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-I", INCLUDE,
             "-DAT=" + at, "-DACT=" + act, *options, "-o", new, SOURCE,
             "-Wl,--build-id=0x%08x" % count[0]], capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        os.rename(new, path)
        return path

    return make


class Reloader:
    """A proxy whose manifest is read again and again."""

    def __init__(self, sluice, origin, client, **over):
        self.client = client
        self.over = {"chain": ["a"], **over}
        self.app = origin(serve(lambda r: reply(b"x")))
        self.proxy = sluice(self.app, **self.over)
        self.seen = 0

    def reload(self, **over):
        """What the log says of it: the line of the outcome."""
        self.proxy.save(manifest(self.app, **{**self.over, **over}))
        self.proxy.process.send_signal(signal.SIGHUP)
        found = []

        def done():
            found[:] = re.findall(r"reload(?: refused)?: .*", self.proxy.log)
            return len(found) > self.seen

        eventually(done, "an outcome of the reload")
        self.seen = len(found)
        assert self.client(self.proxy).request().status == 200
        return found[-1]

    def mappings(self):
        """Images of the library in the process that serves."""
        with open("/proc/%d/maps" % self.proxy.serving) as file:
            return len({line.split()[5] for line in file if line.endswith("lib.so (deleted)\n")})


@pytest.fixture
def reloader(sluice, origin, client):
    return lambda **over: Reloader(sluice, origin, client, **over)


@pytest.mark.parametrize("at,act,how", [
    ("LOAD", "abort()", "ended by SIGABRT; at: load"),
    ("HELLO", "_exit(3)", "ended with status 3; at: hello"),
    ("CREATE", "*(volatile int *)8 = 1", "ended by SIGSEGV; at: create"),
    ("CREATE", "for(;;)pause()", "hung for 500 ms; at: create"),
])
def test_a_bad_library_leaves_the_old_one_serving(reloader, build, at, act, how):
    path = build()
    r = reloader(plugins={"a": {"library": path}}, probe_timeout="500ms")
    pid = r.proxy.serving
    build(at, act)
    line = r.reload()
    assert line.startswith("reload refused: ")
    assert "plugins.a: %s: its first load, in a process of its own, %s" % (path, how) in line
    assert r.mappings() == 1
    build("NOWHERE", "")
    assert "serves" in r.reload()
    assert r.proxy.serving == pid


def test_another_configuration_is_tried_too(reloader, build):
    """Also of a library that is in use and has not changed."""
    path = build("CREATE", 'if(at_config->count)abort()')
    r = reloader(plugins={"a": {"library": path}})
    assert "serves" in r.reload(plugins={"a": {"library": path, "memory": "1MiB"}})
    line = r.reload(plugins={"a": {"library": path, "config": {"x": 1}}})
    assert "ended by SIGABRT; at: create" in line


def test_what_is_served_had_to_be_let_in_by_the_same_rules(reloader, build, tmp_path):
    path = build()
    r = reloader(plugins={"a": {"library": path}})
    key = "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
    assert "%s.sig: the signature can't be read" % path in r.reload(trusted_keys=[key])
    os.chmod(tmp_path, 0o777)
    line = r.reload(log={"level": "info"})
    os.chmod(tmp_path, 0o700)
    assert "the folder %s: everybody may write it" % tmp_path in line
    assert "serves" in r.reload(log={"level": "info"})
    assert "serves" in r.reload(max_retired_images=7)


def test_images_that_may_be_unmapped_are(reloader, build):
    path = build()
    r = reloader(plugins={"a": {"library": path, "unload": "when_safe"}})
    for number in range(2, 8):
        build()
        assert "generation %d serves" % number in r.reload()
        r.proxy.wait_log("generation %d is gone" % (number - 1))
    eventually(lambda: r.mappings() == 1, "one image is left")


def test_images_stay_otherwise_until_there_are_too_many(reloader, build):
    path = build()
    # The connections of the clients that saw the reloads keep the old process for so long.
    r = reloader(plugins={"a": {"library": path}}, max_retired_images=3, shutdown_grace="100ms")
    pid = r.proxy.serving
    for number in range(2, 5):
        build()
        r.reload()
        r.proxy.wait_log("generation %d is gone" % (number - 1))
    assert r.mappings() == 4
    assert "max_retired_images" not in r.proxy.log
    build()
    r.reload()
    r.proxy.wait_log(r"4 libraries are in memory that nobody uses \(max_retired_images\): "
                     "another process is asked for")
    eventually(lambda: r.proxy.processes and r.proxy.serving != pid, "another process")
    eventually(lambda: r.proxy.processes == [r.proxy.serving], "the old one has ended")
    assert r.client(r.proxy).request().status == 200
    assert r.mappings() == 1


def test_the_admin_interface_tells_of_every_image(reloader, build, tmp_path):
    path, address = build(), str(tmp_path / "admin.sock")
    r = reloader(plugins={"a": {"library": path}, "b": {"library": path}},
                 admin={"listen": "unix:" + address})

    def images():
        done = subprocess.run(["curl", "-sS", "--unix-socket", address,
                               "http://localhost/v1/plugins"], capture_output=True, check=True)
        return harness.json.loads(done.stdout)["images"]

    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    (image,) = images()
    assert image.pop("bytes") >= 4096 and image.pop("loaded_at").endswith("Z")
    assert image == {
        "number": 1, "library": path, "sha256": digest, "generation": 1, "state": "in_use",
        "instances": ["a", "b"], "reason": "serves"}
    build()
    r.reload()
    r.proxy.wait_log("generation 1 is gone")
    old, new = images()
    assert (old["number"], old["state"], old["instances"]) == (1, "retired", [])
    assert old["reason"] == 'never unmapped: unload is "never"'
    assert (new["generation"], new["state"], new["instances"]) == (2, "in_use", ["a", "b"])
