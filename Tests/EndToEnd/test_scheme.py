"""What a request's scheme is: that of the client's connection for plugins, and for the origin that
of its own."""
import re

import pytest

import cplugin
from h2wire import H2, get
from harness import serve
from wire import reply


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return cplugin.build(tmp_path_factory.mktemp("picture"), "picture")


@pytest.fixture
def seen(tmp_path, sluice, https, client, connect, ca, library):
    """Has a proxy take one request, and returns what its plugin saw of it: a pair for each phase of
    the request, `:scheme` and whether the facts say that it is secure."""

    def make(peer, secure, version, said="http", upstream=None):
        picture = tmp_path / "picture"
        over = {
            "plugins": {"eye": {"library": library, "config": {"file": str(picture)}},
                        "headers": {"library": "libHeaders.so"}},
            "chain": ["eye", "headers"], "upstream": upstream}
        protocols = {"protocols": [version if secure or version == "h1" else "h2c"]}
        make_proxy = https if secure else sluice
        p = make_proxy(peer, listener=protocols, **over)
        if version == "h1":
            assert (connect if secure else client)(p).request().status == 200
        else:
            tls = ca.client_context() if secure else None
            if tls:
                tls.set_alpn_protocols(["h2"])
            c = H2(p.address, tls=tls, server_name="localhost")
            assert c.open().fetch(get(scheme=said)).status == 200
            c.close()
        p.wait_log("the picture is whole")
        text = picture.read_text()
        schemes = re.findall(r"(?m)^(\w+) (?:field|request) id=2 .*:scheme=(\w+)$", text)
        facts = dict(re.findall(r"(?m)^(\w+) fact secure=(\d)", text))
        phases = {phase for phase, _ in schemes}
        assert {"request_headers", "upstream_request", "response_headers",
                "request_end"} <= phases
        return {(scheme, facts[phase]) for phase, scheme in schemes}

    return make


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("version, said", [("h1", None), ("h2", "http"), ("h2", "https")])
def test_plugins_see_the_scheme_of_the_connection(seen, origin, secure, version, said):
    app = origin(serve(reply(b"x")))
    want = "https" if secure else "http"
    assert seen(app, secure, version, said) == {(want, str(int(secure)))}
    assert app.requests[0].get("x-forwarded-proto") == want


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("version", ["h1", "h2"])
@pytest.mark.parametrize("to", ["h2c", "h2"])
def test_a_peer_of_http2_is_told_its_own_connection(
        seen, h2origin, ca, leaf, secure, version, to):
    context = None
    if to == "h2":
        context = ca.server_context(leaf)
        context.set_alpn_protocols(["h2"])
    app = h2origin(b"x", tls=context)
    upstream = {"protocol": to}
    if to == "h2":
        upstream["tls"] = {"ca": ca.path, "server_name": "localhost"}
    want = "https" if secure else "http"
    assert seen(app, secure, version, want, upstream) == {(want, str(int(secure)))}
    (got,) = app.requests
    # RFC 9113 section 8.3.1: the request is made anew. What the client had stands in a field.
    assert got.get(":scheme") == ("https" if to == "h2" else "http")
    assert got.get("x-forwarded-proto") == want
