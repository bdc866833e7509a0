"""nghttp and h2load: the clients of nghttp2, over TLS and in the clear."""
import re
import subprocess

import pytest

from harness import serve
from wire import DEADLINE, chunk, pattern, reply


@pytest.fixture(params=["https", "http"])
def served(request, https, sluice):
    """A proxy in front of an origin, and the URL of it."""
    def make(*peers, **listener):
        listener = {"limits": {"requests": 1_000_000}, **listener}
        if request.param == "https":
            proxy = https(*peers, listener={"protocols": ["h1", "h2"], **listener})
        else:
            proxy = sluice(*peers, listener={"protocols": ["h1", "h2c"], **listener})
        return proxy, "%s://127.0.0.1:%d" % (request.param, proxy.address[1])

    return make


def run(*argv):
    done = subprocess.run(argv, capture_output=True, timeout=DEADLINE * 3)
    assert done.returncode == 0, done
    return done.stdout.decode("latin-1")


# ------------------------------------------------------------------ h2load
@pytest.mark.alone
@pytest.mark.parametrize("clients,streams,count", [(1, 1_000, 1_000), (10, 100, 20_000)])
def test_h2load(served, nginx, clients, streams, count):
    """1,000 streams on one connection, as many at a time as the proxy allows."""
    (nginx.root / "1k").write_bytes(pattern(1_000))
    _, url = served(nginx.address)
    text = run("h2load", "-n", str(count), "-c", str(clients), "-m", str(streams), url + "/1k")
    assert "%d succeeded, 0 failed, 0 errored, 0 timeout" % count in text, text
    assert "status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx" % count in text
    assert "(%d) data" % (count * 1_000) in text, text


def test_h2load_with_uploads(served, origin, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(pattern(40_000))
    app = origin(serve(lambda r: reply(b"%d" % len(r.body))))
    _, url = served(app)
    text = run("h2load", "-n", "500", "-c", "2", "-m", "20", "-d", str(data), url)
    assert "500 succeeded, 0 failed" in text and "500 2xx" in text
    assert {len(r.body) for r in app.requests} == {40_000}


def test_h2load_that_is_sent_elsewhere(served, nginx):
    """The connection's requests come to an end (`limits.requests`): those that were taken are
    answered, h2load counts the rest as errors and hangs on none."""
    proxy, url = served(nginx.address, limits={"requests": 100})
    text = run("h2load", "-n", "1000", "-c", "1", "-m", "10", url + "/hello")
    done = int(re.search(r"(\d+) succeeded", text).group(1))
    assert 100 <= done < 1_000 and "%d 2xx, 0 3xx, 0 4xx, 0 5xx" % done in text


# ------------------------------------------------------------------ nghttp
def test_nghttp_many(served, origin):
    _, url = served(origin(serve(lambda r: reply(pattern(1_000_000)))))
    text = run("nghttp", "-ns", "-m", "30", "--no-verify-peer", url)
    assert len(re.findall(r" 200 +976K", text)) == 30, text


@pytest.mark.parametrize("bits", [1, 10, 16, 30])
def test_nghttp_with_windows(served, origin, tmp_path, bits):
    """Of 2^n - 1 octets, for streams and for the connection."""
    # A window of one octet costs the proxy two frames for each, which it bears for so long only.
    body = pattern(300 if bits == 1 else 300_000)
    _, url = served(origin(serve(lambda r: reply(body))))
    done = subprocess.run(["nghttp", "-w", str(bits), "-W", str(max(bits, 16)), url],
                          capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0 and done.stdout == body


def test_nghttp_upload_and_trailers(served, origin, tmp_path):
    """nghttp sends a Content-Length, and a body with a length has no trailers in HTTP/1.1: those of
    the request end here (RFC 9110 section 6.5.1), those of the response do not."""
    data = tmp_path / "data"
    data.write_bytes(pattern(500_000))
    text = (b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(b"body") + b"0\r\nx-sum: 42\r\n\r\n")
    app = origin(serve(text))
    _, url = served(app)
    assert "x-sum: 42" in run("nghttp", "-nv", "-d", str(data), "--trailer", "x-check: 1", url)
    assert app.requests[0].body == pattern(500_000)
    assert app.requests[0].get("content-length") == "500000"


def test_nghttp_with_padding_and_a_weight(served, origin):
    _, url = served(origin(serve(lambda r: reply(r.body))))
    out = run("nghttp", "-v", "-b", "255", "-p", "7", "-d", __file__, url)
    assert ":status: 200" in out and "; END_HEADERS | PADDED | PRIORITY" in out
    assert "nghttp and h2load" in out


def test_nghttp_with_continuation(served, origin):
    """A head of several frames."""
    app = origin(serve(reply(b"ok")))
    _, url = served(app)
    assert ":status: 200" in run("nghttp", "-nv", "--continuation", url)
    assert sum(len(value) for name, value in app.requests[0].fields
               if name.startswith("continuation-test-")) > 16_384


def test_nghttp_settings(served, origin):
    """What the proxy announces, and that it acknowledges the client's."""
    _, url = served(origin(serve(reply(b"ok"))))
    out = run("nghttp", "-nv", "--header-table-size", "0", "--max-concurrent-streams", "1", url)
    assert "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128" in out
    assert "SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in out or "UNKNOWN(0x08):1" in out
    assert len(re.findall(r"(?s)recv SETTINGS frame <length=0, flags=0x01", out)) == 1


def test_nghttp_expects_100(served, origin):
    def script(connection):
        head = connection.read_head()
        assert head.get("expect") == "100-continue"
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(head)
        connection.send(reply(head.body))

    _, url = served(origin(script))
    out = run("nghttp", "-v", "--expect-continue", "-d", __file__, url)
    assert ":status: 100" in out and ":status: 200" in out
    assert "nghttp and h2load" in out
