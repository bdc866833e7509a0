"""Fields that say who the client of a TLS connection is (the Headers plugin)."""
import subprocess

import pytest

from harness import serve
from wire import reply, request

FIELDS = {"X-Subject": "{client_subject}", "X-Print": "{client_fingerprint}",
          "X-TLS": "{tls_version}", "X-Cipher": "{tls_cipher}", "X-Name": "{tls_server_name}"}
FORGED = [(name, "forged") for name in FIELDS] + [("x-subject", "CN=admin")]


@pytest.fixture
def proxy(https, origin, ca):
    """A proxy that tells its origin by `FIELDS`, and the origin."""
    app = origin(serve(lambda r: reply(b"x")))
    rules = [{"name": name, "value": value} for name, value in FIELDS.items()]
    p = https(app, tls={"client_auth": {"mode": "optional", "ca": ca.path}},
              plugins={"headers": {"library": "libHeaders.so",
                                   "config": {"request": {"set": rules}}}}, chain=["headers"])
    return p, app


def seen(app):
    """What the origin got, by name: every value."""
    return {name: app.requests[-1].all(name) for name in FIELDS}


def test_a_certificate_in_place_of_what_the_client_says(proxy, connect, ca):
    p, app = proxy
    own = ca.issue("client")
    assert connect(p, context=ca.client_context(own)).request(fields=FORGED).status == 200
    got = seen(app)
    assert got["X-Subject"] == ["CN=client,O=Tests"] and got["X-Print"] == [own.fingerprint]
    assert got["X-TLS"] == ["TLSv1.3"] and got["X-Name"] == ["localhost"]
    assert len(got["X-Cipher"]) == 1 and got["X-Cipher"][0].startswith("TLS_")


def test_nobody_without_a_certificate(proxy, connect):
    p, app = proxy
    assert connect(p).request(fields=FORGED).status == 200
    got = seen(app)
    assert got["X-Subject"] == [""] and got["X-Print"] == [""] and got["X-TLS"] == ["TLSv1.3"]


@pytest.mark.parametrize("name", ["a\r\nX-Subject: CN=admin", "a\tb", "n\u00e4me"])
def test_a_hostile_host_in_the_hello(proxy, name):
    p, app = proxy
    text = request(fields=FORGED + [("Connection", "close")])
    out = subprocess.run(
        ["openssl", "s_client", "-quiet", "-servername", name, "-connect", "%s:%d" % p.address],
        input=text, capture_output=True, timeout=20)
    assert out.stdout.startswith(b"HTTP/1.1 200 "), out.stderr
    got = seen(app)
    assert got["X-Name"] == [""] and got["X-Subject"] == [""] and got["X-Print"] == [""]
    assert got["X-TLS"] == ["TLSv1.3"]


def test_a_hostile_subject(proxy, connect, ca):
    p, app = proxy
    own = ca.issue("client", subject="/O=Tests/CN=client\r\nX-Admin: 1")
    assert connect(p, context=ca.client_context(own)).request(fields=FORGED).status == 200
    got = seen(app)
    assert got["X-Subject"] == [r"CN=client\0D\0AX-Admin: 1,O=Tests"]
    assert got["X-Print"] == [own.fingerprint]
    assert app.requests[-1].get("x-admin") is None


def test_a_subject_over_the_bound_is_left_out(proxy, connect, ca):
    """960 bytes are told; the fingerprint always is."""
    p, app = proxy
    units = "/OU=" + "a" * 60
    for length, told in [(61, True), (62, False)]:
        own = ca.issue("client", subject=14 * units + "/CN=" + length * "c")
        assert connect(p, context=ca.client_context(own)).request(fields=FORGED).status == 200
        got = seen(app)
        subject = "CN=" + length * "c" + 14 * ("," + units[1:])
        assert len(subject) == (960 if told else 961)
        assert got["X-Subject"] == [subject if told else ""]
        assert got["X-Print"] == [own.fingerprint]
