"""Files of TLS that change while the proxy serves (`reload_interval`): new connections get the new
certificate, those that stand keep theirs, and what cannot be loaded changes nothing."""
import hashlib
import os
import re
import shutil
import ssl
import threading

import pytest

import certificates
from h2wire import H2
from harness import eventually, serve
from wire import Client, chunk, pattern, reply

IN_USE = "listeners\\[0\\].tls: the files have changed and are in use"


class Files:
    """A site's certificate and key, put in place by rename as tools do."""

    def __init__(self, folder):
        self.entry = {name: str(folder / ("site." + name)) for name in ("certificate", "key")}

    def put(self, name, text):
        path = self.entry[name]
        with open(path + ".new", "wb") as file:
            file.write(text)
        os.chmod(path + ".new", 0o600)
        os.rename(path + ".new", path)

    def install(self, leaf):
        for name in ("key", "certificate"):
            with open(getattr(leaf, name), "rb") as file:
                self.put(name, file.read())


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def site(https, files):
    """A proxy that looks at the files once a second, the shortest there is."""
    def make(*peers, leaf, **options):
        files.install(leaf)
        tls = {"certificates": [files.entry], "reload_interval": "1s", **options.pop("tls", {})}
        return https(*peers, tls=tls, **options)

    return make


def shown(client):
    return hashlib.sha256(client.sock.getpeercert(True)).hexdigest()


def reloads(proxy):
    return len(re.findall(IN_USE, proxy.log))


def test_old_connections_go_on_and_new_ones_get_the_new(site, files, origin, connect, ca):
    first, second = ca.issue("localhost"), ca.issue("localhost")
    half = threading.Event()

    def script(connection):
        while head := connection.read_request():
            if head.target != "/long":
                connection.send(reply(b"x"))
                continue
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + chunk(b"before"))
            assert half.wait(15)
            connection.send(chunk(b" after") + b"0\r\n\r\n")

    p = site(origin(script), leaf=first)
    idle, busy = connect(p), connect(p)
    assert shown(idle) == first.fingerprint and idle.request().body == b"x"
    busy.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
    assert busy.until(b"before\r\n")
    files.install(second)
    p.wait_log(IN_USE)
    fresh = connect(p)
    assert shown(fresh) == second.fingerprint and fresh.request().body == b"x"
    half.set()
    assert b" after" in busy.until(b"0\r\n\r\n")
    for old in (idle, busy):
        assert old.request().body == b"x" and shown(old) == first.fingerprint
    assert reloads(p) == 1


def test_streams_of_http2_go_on(site, files, origin, ca):
    first, second = ca.issue("localhost"), ca.issue("localhost")
    body = pattern(1_000_000)
    p = site(origin(serve(lambda r: reply(body))), leaf=first,
             listener={"protocols": ["h1", "h2"]})
    context = ca.client_context(alpn=["h2"])
    old = H2(p.address, tls=context, server_name="localhost").open()
    stream = old.request()
    old.until(lambda: len(old.streams[stream].body) == 65_535, "what the window holds")
    files.install(second)
    p.wait_log(IN_USE)
    fresh = H2(p.address, tls=context, server_name="localhost").open()
    assert (shown(old), shown(fresh)) == (first.fingerprint, second.fingerprint)
    for c in (old, fresh):
        c.credits = True
    for number in (0, stream):
        old.credit(number, 1 << 20)
    assert bytes(old.response(stream).body) == body == bytes(fresh.fetch().body)
    assert not old.goaway
    old.close()
    fresh.close()


# What a change can do wrong; `other` is a good pair of files that is not installed.
BROKEN = {
    "not PEM": lambda files, other: files.put("certificate", b"broken\n"),
    "empty": lambda files, other: files.put("certificate", b""),
    "half written": lambda files, other: files.put("certificate", read(other.certificate)[:200]),
    "missing": lambda files, other: os.unlink(files.entry["certificate"]),
    "a key of another": lambda files, other: files.put("key", read(other.key)),
    "only the certificate": lambda files, other: files.put(
        "certificate", read(other.certificate)),
    "a key that all may write": lambda files, other: os.chmod(files.entry["key"], 0o666),
}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_bad_files_keep_the_old_with_one_line(sluice, origin, client, ca, tmp_path):
    """A listener for each way to be bad. The line names the file, and is not said again at the next
    look. Good files are taken up afterwards, without a restart."""
    first, second = ca.issue("localhost"), ca.issue("localhost")
    sites = []
    for number in range(len(BROKEN)):
        folder = tmp_path / ("site%d" % number)
        folder.mkdir()
        sites.append(Files(folder))
        sites[-1].install(first)
    p = sluice(origin(serve(reply(b"x"))), listeners=[
        {"listen": "127.0.0.1:0",
         "tls": {"certificates": [files.entry], "reload_interval": "1s"}} for files in sites])

    def serves(numbers, leaf):
        for number in numbers:
            c = client(p.addresses[number], tls=ca.client_context(), server_name="localhost")
            assert (shown(c), c.request().body) == (leaf.fingerprint, b"x")

    def said(text):
        return [len(re.findall(re.escape("listeners[%d].tls: " % number + text), p.log))
                for number in range(len(sites))]

    for files, spoil in zip(sites, BROKEN.values()):
        spoil(files, second)
    eventually(lambda: all(said("not reloaded: ")), "the lines")
    serves(range(len(sites)), first)
    # The even ones are looked at while the odd ones are still as bad as before, then all.
    for even in (0, 1):
        for files in sites[even::2]:
            files.install(second)
        eventually(lambda: all(said("the files have changed")[even::2]), "the good files")
        serves(range(even, len(sites), 2), second)
        if even == 0:
            serves(range(1, len(sites), 2), first)
    assert said("not reloaded: ") == said("the files have changed") == [1] * len(sites), p.log
    for number in range(len(sites)):
        assert re.search(r"listeners\[%d\]\.tls: not reloaded: \S*site%d/site\.(key|certificate)\b"
                         % (number, number), p.log), p.log


def test_a_session_goes_on_behind_the_change(site, files, origin, ca):
    """The keys of tickets are not the certificate's."""
    first, second = ca.issue("localhost"), ca.issue("localhost")
    p = site(origin(serve(reply(b"x"))), leaf=first)
    context = ca.client_context()

    def ask(session=None):
        c = Client(p.address)
        c.sock = context.wrap_socket(c.sock, server_hostname="localhost", session=session)
        assert c.request().body == b"x"
        found = c.sock.session_reused, c.sock.session
        c.close()
        return found

    _, session = ask()
    files.install(second)
    p.wait_log(IN_USE)
    assert ask(session)[0] is True


def test_an_authority_of_clients_is_replaced(site, origin, client, ca, leaf, tmp_path):
    (tmp_path / "other").mkdir()
    other = certificates.Authority(tmp_path / "other", "Other CA")
    trusted = str(tmp_path / "clients.pem")
    shutil.copy(ca.path, trusted)
    p = site(origin(serve(reply(b"x"))), leaf=leaf,
             tls={"client_auth": {"mode": "required", "ca": trusted}})

    def ask(authority):
        try:
            context = ca.client_context(authority.issue("client"))
            return client(p, tls=context, server_name="localhost").request().status
        except (OSError, ssl.SSLError):
            return None

    assert (ask(ca), ask(other)) == (200, None)
    shutil.copy(other.path, trusted + ".new")
    os.rename(trusted + ".new", trusted)
    p.wait_log(IN_USE)
    assert (ask(ca), ask(other)) == (None, 200)
