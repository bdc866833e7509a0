"""HTTP/2 over TLS: which protocol a connection speaks is ALPN's to say (RFC 9113 section 3.2)."""
import os
import ssl
import subprocess

import pytest

import h2server
import wire
from h2wire import H2, get
from harness import serve
from wire import DEADLINE, reply


@pytest.fixture
def tls(tmp_path, sluice):
    """A listener with a certificate that was made for this test; skipped without TLS."""
    def make(*peers, protocols=("h1", "h2")):
        key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:test",
             "-keyout", key, "-out", certificate], check=True, capture_output=True)
        os.chmod(key, 0o600)
        listener = {"protocols": list(protocols),
                    "tls": {"certificates": [{"certificate": certificate, "key": key}]}}
        h2server.need(tmp_path, listener)
        return sluice(*peers, listener=listener), certificate

    return make


def context(certificate, *protocols):
    made = ssl.create_default_context(cafile=certificate)
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def test_tls_alpn_chooses_the_protocol(tls, origin):
    proxy, certificate = tls(origin(serve(lambda r: reply(wire.pattern(1_000_000)))))
    c = H2(proxy.address, tls=context(certificate, "h2", "http/1.1"))
    assert c.sock.selected_alpn_protocol() == "h2"
    c.credits = True
    assert bytes(c.open().fetch().body) == wire.pattern(1_000_000)
    c.close()
    for offer, version in (("--http2", b"2"), ("--http1.1", b"1.1")):
        got = subprocess.run(["curl", "-sS", offer, "--cacert", certificate, "-o", os.devnull, "-w",
                   "%{http_version} %{size_download}", "--resolve",
                   "test:%d:127.0.0.1" % proxy.address[1],
                   "https://test:%d/" % proxy.address[1]],
                             capture_output=True, timeout=DEADLINE)
        assert (got.stdout, got.stderr) == (version + b" 1000000", b"")


def test_tls_without_alpn_is_http1(tls, origin):
    """RFC 9113 section 3.2: h2 needs ALPN; its preface is not enough."""
    proxy, certificate = tls(origin(serve(reply(b"plain"))))
    c = wire.Client(proxy.address)
    c.sock = context(certificate).wrap_socket(c.sock, server_hostname="test")
    assert c.request().body == b"plain"
    c.close()


def test_tls_with_h2_alone(tls, origin):
    """A client that offers only HTTP/1.1 is told in the handshake (RFC 7301 section 3.2)."""
    proxy, certificate = tls(origin(serve(reply())), protocols=["h2"])
    c = H2(proxy.address, tls=context(certificate, "h2")).open()
    assert c.fetch(get(scheme="https")).status == 200
    c.close()
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        H2(proxy.address, tls=context(certificate, "http/1.1"))
