"""`openssl s_client` in front of the proxy, `openssl s_server` behind it."""
import os
import re
import shutil
import subprocess
import threading

import pytest

import certificates
import h2server
from harness import serve
from wire import DEADLINE, pattern, reply, request

VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


class SClient:
    """A running s_client; `text` is what it has said."""

    def __init__(self, to, ca, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", "%s:%d" % to.address, "-CAfile", ca.path,
             "-verify_return_error", "-servername", "localhost", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.changed, self.text, self.ended = threading.Condition(), b"", False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while data := self.process.stdout.read1():
            with self.changed:
                self.text += data
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait(self, pattern, count=1):
        with self.changed:
            found = lambda: len(re.findall(pattern, self.text))
            self.changed.wait_for(lambda: found() >= count or self.ended, DEADLINE)
            assert found() >= count, self.text.decode("latin-1")

    def answers(self, count):
        """Asks, and waits for so many answers in all."""
        self.write(request())
        self.wait(rb"answer of the origin", count)

    def end(self):
        """The end of its input; everything that it said."""
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return self.text.decode("latin-1")

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def s_client(ca):
    made = []

    def make(to, *options):
        made.append(SClient(to, ca, *options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def app(origin):
    return origin(serve(lambda r: reply(b"answer of the origin")))


# ------------------------------------------------------------------ in front
@VERSIONS
def test_versions(https, app, s_client, version):
    flag = "-tls" + version.replace(".", "_")
    c = s_client(https(app), flag, "-alpn", "http/1.1")
    c.answers(1)
    text = c.end()
    assert "Verify return code: 0 (ok)" in text and "Secure Renegotiation IS" in text
    assert re.search(r"New, TLSv%s, Cipher is (TLS_|ECDHE-)" % re.escape(version), text), text
    assert "ALPN protocol: http/1.1" in text and "Compression: NONE" in text


def test_h2_by_alpn(https, app, s_client):
    p = https(app, listener={"protocols": ["h1", "h2"]})
    c = s_client(p, "-alpn", "h2,http/1.1")
    c.wait(rb"ALPN protocol: h2")


def test_versions_that_are_too_old(https, app, s_client):
    p = https(app)
    for flag in ("-tls1", "-tls1_1"):
        c = s_client(p, flag, "-cipher", "DEFAULT@SECLEVEL=0")
        c.wait(rb"alert protocol version")
    p.wait_log("TLS handshake")


def test_renegotiation_is_refused(https, app, s_client):
    """The proxy says no_renegotiation; another handshake does not begin."""
    c = s_client(https(app), "-tls1_2", "-state")
    c.answers(1)
    finished = c.text.count(b"SSLv3/TLS read server hello")
    c.write(b"R\n")
    c.wait(rb"RENEGOTIATING")
    c.wait(rb"no renegotiation")
    assert c.text.count(b"SSLv3/TLS read server hello") == finished == 1


@pytest.mark.parametrize("letter", [b"k", b"K"], ids=["own key", "both keys"])
def test_key_updates(https, app, s_client, letter):
    """Bytes go on in both directions with new keys, as often as the client likes."""
    c = s_client(https(app), "-tls1_3", "-msg")
    c.answers(1)
    for number in range(1, 6):
        c.write(letter + b"\n")
        c.wait(rb"KEYUPDATE", number)
        c.answers(number + 1)
    sent = len(re.findall(rb">>> TLS 1.3, Handshake \[length 0005\], KeyUpdate", c.text))
    came = len(re.findall(rb"<<< TLS 1.3, Handshake \[length 0005\], KeyUpdate", c.text))
    assert (sent, came) == (5, 5 if letter == b"K" else 0)


@VERSIONS
def test_a_session_is_resumed(https, app, s_client, tmp_path, version):
    flag, file = "-tls" + version.replace(".", "_"), str(tmp_path / "session.pem")
    p = https(app)
    first = s_client(p, flag, "-sess_out", file)
    first.answers(1)
    assert "\nNew, TLSv" + version in first.end()
    for _ in range(3):
        again = s_client(p, flag, "-sess_in", file, "-sess_out", file)
        again.answers(1)
        assert "\nReused, TLSv" + version in again.end()


def test_a_session_of_another_process_is_not_taken_up(https, app, s_client, tmp_path):
    """Keys of tickets live in memory only: a full handshake, and no error."""
    file = str(tmp_path / "session.pem")
    first = s_client(https(app), "-sess_out", file)
    first.answers(1)
    first.end()
    other = s_client(https(app), "-sess_in", file)
    other.answers(1)
    assert "\nNew, TLSv1.3" in other.end()


# ------------------------------------------------------------------ OCSP
@VERSIONS
def test_a_good_response_is_stapled(https, app, s_client, ca, version):
    leaf = ca.issue("localhost")
    p = https(app, tls={"certificates": [{**leaf.entry, "ocsp": ca.staple(leaf)}]})
    flag = "-tls" + version.replace(".", "_")
    asked = s_client(p, "-status", flag)
    asked.answers(1)
    text = asked.end()
    assert "OCSP Response Status: successful (0x0)" in text and "Cert Status: good" in text
    silent = s_client(p, flag)
    silent.answers(1)
    assert "OCSP" not in silent.end()


def test_other_responses_are_not_stapled(https, app, s_client, ca):
    leaf = ca.issue("localhost")
    p = https(app, tls={"certificates": [{**leaf.entry, "ocsp": ca.staple(leaf, "revoked")}]})
    p.wait_log(r"leaf\d+\.pem\.revoked\.der: not stapled: it says that the certificate is revoked")
    c = s_client(p, "-status")
    c.answers(1)
    assert "OCSP response: no response sent" in c.end()


def test_each_host_has_its_own_response(https, app, ca, s_client):
    one, other = ca.issue("localhost"), ca.issue("other.example")
    p = https(app, tls={"certificates": [{**one.entry, "ocsp": ca.staple(one)}, other.entry]})
    c = s_client(p, "-status", "-servername", "other.example")
    c.wait(rb"OCSP response: no response sent")
    c = s_client(p, "-status")
    c.wait(rb"Cert Status: good")


def test_a_response_is_replaced_while_serving(https, app, s_client, ca, tmp_path):
    leaf, file = ca.issue("localhost"), str(tmp_path / "response.der")
    shutil.copy(ca.staple(leaf, "revoked"), file)
    p = https(app, tls={"certificates": [{**leaf.entry, "ocsp": file}],
                        "reload_interval": "100ms"})
    shutil.copy(ca.staple(leaf), file + ".new")
    os.rename(file + ".new", file)
    p.wait_log("the files have changed and are in use")
    c = s_client(p, "-status")
    c.wait(rb"Cert Status: good")


# ------------------------------------------------------------------ behind
class SServer:
    def __init__(self, folder, leaf, *options, port=None):
        self.port = port or h2server.free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", self.address, "-cert", leaf.certificate,
             "-key", leaf.key, *options], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("ACCEPT"):
                break
        else:
            raise AssertionError("s_server did not start")
        # It must not wait for a reader of what it says.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def s_server(tmp_path, leaf):
    made = []

    def make(*options, certificate=None):
        made.append(SServer(str(tmp_path), certificate or leaf, *options))
        return made[-1].address

    make.made = made

    yield make
    for server in made:
        server.close()


def verified(ca, **tls):
    return {"tls": {"ca": ca.path, "server_name": "localhost", **tls}, "retries": {"attempts": 1}}


@VERSIONS
def test_a_page_of_s_server(sluice, s_server, client, ca, version):
    """HTTP/1.0, and the body ends with the connection."""
    peer = s_server("-www", "-tls" + version.replace(".", "_"))
    c = client(sluice(peer, upstream=verified(ca)))
    for _ in range(3):
        answer = c.request()
        assert answer.status == 200 and b"s_server" in answer.body
        assert b"TLSv" + version.encode() in answer.body


@pytest.mark.parametrize("size", [0, 1, 16_384, 5_000_000])
def test_files_of_s_server(sluice, s_server, client, ca, tmp_path, size):
    (tmp_path / "file.bin").write_bytes(pattern(size))
    c = client(sluice(s_server("-WWW"), upstream=verified(ca)))
    for _ in range(2):
        answer = c.request(target="/file.bin")
        assert answer.status == 200 and answer.body == pattern(size)


def test_sessions_with_s_server_are_resumed(sluice, s_server, client, ca):
    c = client(sluice(s_server("-www"), upstream=verified(ca)))
    pages = [c.request().body for _ in range(4)]
    assert [b"Reused, TLSv1.3" in page for page in pages] == [False, True, True, True]


def test_a_wrong_name_is_not_spoken_to(sluice, s_server, client, ca):
    peer = s_server("-www", certificate=ca.issue("other.example"))
    p = sluice(peer, upstream=verified(ca))
    assert client(p).request().status == 502
    p.wait_log("TLS handshake: .*hostname")
    right = sluice(peer, upstream=verified(ca, verify_name="other.example"))
    assert client(right).request().status == 200


def test_an_unknown_authority_is_not_spoken_to(sluice, s_server, client, ca, tmp_path):
    (tmp_path / "other").mkdir()
    other = certificates.Authority(tmp_path / "other", "Other CA")
    p = sluice(s_server("-www", certificate=other.issue("localhost")), upstream=verified(ca))
    assert client(p).request().status == 502
    p.wait_log("TLS handshake: .*certificate")


def test_s_server_asks_for_a_certificate(sluice, s_server, client, ca):
    peer = s_server("-www", "-Verify", "2", "-verify_return_error", "-CAfile", ca.path)
    own = ca.issue("proxy")
    shown = sluice(peer, upstream=verified(ca, **own.entry))
    assert client(shown).request().status == 200
    silent = sluice(peer, upstream=verified(ca))
    assert client(silent).request().status == 502


def test_s_server_that_comes_back(sluice, s_server, client, ca, tmp_path, leaf):
    """With other keys for its tickets: the session that was kept of it is not in the way."""
    p = sluice(s_server("-www"), upstream=verified(ca))
    c = client(p)
    assert b"Reused" in [c.request().body for _ in range(2)][1]
    old = s_server.made[0]
    old.close()
    assert c.request().status == 502
    s_server.made.append(SServer(str(tmp_path), leaf, "-www", port=old.port))
    assert b"New, TLSv1.3" in c.request().body
