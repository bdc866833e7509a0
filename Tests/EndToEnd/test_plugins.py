"""Headers and Respond through the binary, and what the host makes of a plugin's verdicts."""
import json
import re
import subprocess

import pytest

import harness
from harness import manifest, serve
from wire import reply, request


def headers(**config):
    return {"plugins": {"hdr": {"library": "libHeaders.so", "config": config}}, "chain": ["hdr"]}


def respond(**config):
    return {"plugins": {"say": {"library": "libRespond.so", "config": config}},
            "routes": [{"match": {}, "chain": ["say"]}]}


# ----------------------------------------------------------------- Headers
def test_x_forwarded_by_default(sluice, origin, client):
    app = origin(serve(reply()))
    client(sluice(app, **headers())).request(host="example.com:8080")
    seen = app.requests[0]
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert seen.all("x-forwarded-proto") == ["http"]
    assert seen.all("x-forwarded-host") == ["example.com:8080"]
    assert seen.get("forwarded") is None


CLAIMS = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"),
          ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-User", "root"),
          ("X-Real-IP", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")]


def test_claims_of_a_stranger_are_replaced(sluice, origin, client):
    app = origin(serve(reply()))
    client(sluice(app, **headers())).request(fields=CLAIMS)
    seen = app.requests[0]
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]
    assert seen.all("x-forwarded-proto") == ["http"]
    assert seen.all("x-forwarded-host") == ["test"]
    for name in ("x-forwarded-user", "x-real-ip", "forwarded"):
        assert seen.get(name) is None


def test_claims_of_a_trusted_proxy_are_kept(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app, **headers(forwarded={"trusted_proxies": ["127.0.0.0/8"]}))
    client(proxy).request(fields=CLAIMS)
    seen = app.requests[0]
    assert seen.all("x-forwarded-for") == ["203.0.113.9, 127.0.0.1"]
    assert seen.all("x-forwarded-proto") == ["https"]
    assert seen.all("x-forwarded-host") == ["evil.example"]


def test_forwarded_of_rfc_7239(sluice, origin, client):
    app = origin(serve(reply()))
    proxy = sluice(app, listeners=[{"listen": "127.0.0.1:0"}, {"listen": "[::1]:0"}],
                   **headers(forwarded={"mode": "rfc7239"}))
    client(proxy).request(host="example.com:81", fields=CLAIMS)
    client(proxy.addresses[1]).request(host="example.com")
    assert app.requests[0].all("forwarded") == ['for=127.0.0.1;host="example.com:81";proto=http']
    assert app.requests[1].all("forwarded") == ['for="[::1]";host=example.com;proto=http']
    assert app.requests[0].get("x-forwarded-for") is None


def test_each_request_has_an_id_on_both_sides(sluice, origin, client):
    app = origin(serve(reply()))
    c = client(sluice(app, **headers(request_id={"echo": True})))
    ids = [c.request(fields=[("X-Request-Id", "mine")]).all("x-request-id") for _ in range(5)]
    assert ids == [r.all("x-request-id") for r in app.requests]
    assert len({i[0] for i in ids}) == 5
    assert all(len(i) == 1 and re.fullmatch("[0-9a-f]{32}", i[0]) for i in ids)


def test_set_add_and_remove(sluice, origin, client):
    app = origin(serve(reply(b"ok", fields=[
        ("Server", "secret"), ("X-Old", "1"), ("x-old", "2"), ("X-Kept", "3")])))
    c = client(sluice(app, **headers(
        request={"set": [{"name": "X-Set", "value": "new"}, {"name": "Host", "value": "inner"}],
                 "add": [{"name": "X-Add", "value": "{client_ip}"}],
                 "add_if_absent": [{"name": "X-Kept", "value": "no"}], "remove": ["X-Gone"]},
        response={"remove": ["Server", "x-old"], "set": [{"name": "X-Via", "value": "us"}]})))
    answer = c.request(fields=[("x-set", "old"), ("X-Set", "older"), ("X-Add", "1"),
                               ("X-Kept", "yes"), ("x-gone", "1")])
    seen = app.requests[0]
    assert seen.all("x-set") == ["new"]
    assert seen.all("host") == ["inner"]
    assert seen.all("x-add") == ["1", "127.0.0.1"]
    assert seen.all("x-kept") == ["yes"]
    assert seen.get("x-gone") is None
    assert answer.get("server") is None and answer.get("x-old") is None
    assert (answer.get("x-kept"), answer.get("x-via"), answer.body) == ("3", "us", b"ok")


def test_a_retry_is_edited_once(sluice, origin, client):
    """Each attempt starts from the request, not from what the attempt before made of it."""
    def script(c):
        c.read_request()
        c.send(reply())
        c.read_request()  # and dies: the request is sent again on another connection

    app = origin(script)
    c = client(sluice(app, **headers(request={"add": [{"name": "X-Add", "value": "1"}]})))
    assert [c.request().status for _ in range(2)] == [200, 200]
    assert len(app.requests) == 3
    for seen in app.requests:
        assert seen.all("x-add") == ["1"]
        assert seen.all("x-forwarded-for") == ["127.0.0.1"]


def test_headers_of_an_error_made_here(sluice, client, tmp_path):
    """The reply of the host passes the response's rules too."""
    c = client(sluice("unix:%s/none" % tmp_path,
                      **headers(response={"set": [{"name": "X-Via", "value": "us"}]})))
    answer = c.request()
    assert (answer.status, answer.get("x-via")) == (502, "us")


# ----------------------------------------------------------------- Respond
def test_a_text(sluice, client):
    fields = {"Cache-Control": "no-store"}
    c = client(sluice(**respond(status=200, body="healthy\n", headers=fields)))
    for _ in range(3):
        answer = c.request()
        assert (answer.status, answer.body) == (200, b"healthy\n")
        assert answer.get("content-type") == "text/plain; charset=utf-8"
        assert answer.get("cache-control") == "no-store"
        assert answer.get("content-length") == "8"
        assert answer.get("date")
    head = c.request("HEAD")
    assert (head.status, head.get("content-length")) == (200, "8")
    assert c.request().body == b"healthy\n"


def test_a_body_with_placeholders(sluice, client):
    c = client(sluice(**respond(body="{client_ip} {host} {path} {query}")))
    answer = c.request(target="/a/b?c=d", host="example.com:1")
    assert answer.body == b"127.0.0.1 example.com /a/b ?c=d"


def test_a_redirect(sluice, client):
    c = client(sluice(**respond(status=308, location="https://{host}{path}{query}")))
    answer = c.request(target="/a?b", host="example.com:80")
    assert (answer.status, answer.get("location")) == (308, "https://example.com/a?b")


def test_a_file(sluice, client, tmp_path):
    (tmp_path / "page").write_bytes(bytes(range(256)) * 1000)
    c = client(sluice(**respond(body_file=str(tmp_path / "page"))))
    assert c.request().body == bytes(range(256)) * 1000


def test_methods(sluice, client):
    c = client(sluice(**respond(body="x", methods=["GET"])))
    assert c.request().status == 200
    answer = c.request("POST", body=b"x")
    assert (answer.status, answer.get("allow")) == (405, "GET, HEAD")


def test_204_has_no_body(sluice, client):
    c = client(sluice(**respond(status=204)))
    for _ in range(2):
        answer = c.request()
        assert answer.status == 204
        assert answer.get("content-length") is None


def test_a_route_that_answers_beside_one_that_proxies(sluice, origin, client):
    app = origin(serve(reply(b"from the origin")))
    c = client(sluice(
        app, plugins={"ok": {"library": "libRespond.so", "config": {"body": "ok"}}},
        routes=[{"match": {"path": "/health"}, "chain": ["ok"]}, {"match": {}, "upstream": "app"}]))
    for _ in range(3):
        assert c.request(target="/health").body == b"ok"
        assert c.request().body == b"from the origin"
    assert len(app.requests) == 3


def test_pipelined_local_replies(sluice, client):
    c = client(sluice(**respond(body="{path}")))
    c.send(b"".join(request(target="/%d" % i) for i in range(100)))
    assert [c.response().body for _ in range(100)] == [b"/%d" % i for i in range(100)]


# ---------------------------------------------------- a plugin made for this
SOURCE = """
#include <sluice/sluice.h>
#include <string.h>

static uint32_t hook(void *instance, void *slot, sluice_req *r, void *c, sluice_args *args) {
    const sluice_headers *h = args->headers;
    for (uint32_t i = 0; i < h->count; i++) {
        const sluice_field *f = &h->fields[i];
        if (f->name_len == 6 && !memcmp(f->name, "x-test", 6)) {
            args->reply->status = 418;
            if (f->value[0] == 'b') {
                sluice_edit *e = &args->edits->ops[args->edits->count++];
                memset(e, 0, sizeof *e);
                e->op = SLUICE_EDIT_SET;
                e->name = (sluice_slice){(const uint8_t *)"x-bad", 5};
                e->value = (sluice_slice){(const uint8_t *)"a\\r\\nb", 4};
                return SLUICE_CONTINUE;
            }
            return f->value[0] - '0';
        }
    }
    return SLUICE_CONTINUE;
}

static sluice_http_hooks hooks = {.size = sizeof hooks, .request_headers = hook};

static int32_t create(const sluice_create_args *a, sluice_instance *out, sluice_errbuf *e) {
    out->hooks = &hooks;
    return SLUICE_OK;
}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const sluice_factory factory = {.size = sizeof factory, .create = create};
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice){(const uint8_t *)"test.verdict", 12};
    out->version = (sluice_slice){(const uint8_t *)"1.0.0", 5};
    out->description = (sluice_slice){(const uint8_t *)"Does as it is told.", 19};
    out->factory = &factory;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return SLUICE_OK;
}
"""


@pytest.fixture(scope="session")
def verdict(tmp_path_factory):
    """A plugin in C that returns the verdict that the field X-Test names by its number."""
    folder = tmp_path_factory.mktemp("verdict")
    (folder / "verdict.c").write_text(SOURCE)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-I", harness.ROOT + "/SDK/Sources/CSluice/include", "-o",
         str(folder / "libVerdict.so"), str(folder / "verdict.c")], check=True)
    return str(folder / "libVerdict.so")


def through(sluice, app, verdict, **entry):
    return sluice(app, plugins={"v": {"library": verdict, **entry}}, chain=["v"])


def test_verdicts_of_a_plugin_in_c(sluice, origin, client, verdict):
    app = origin(serve(reply()))
    proxy = through(sluice, app, verdict)
    c = client(proxy)
    for number, status in [("0", 200), ("1", 418), ("4", 200), ("7", 500), ("2", 500), ("9", 500)]:
        assert c.request(fields=[("X-Test", number)]).status == status, number
    c.send(request(fields=[("X-Test", "5")]))  # RESET
    assert c.ended()
    assert len(app.requests) == 2


def test_a_bad_edit_fails_the_hook_and_not_the_message(sluice, origin, client, verdict):
    app = origin(serve(reply()))
    proxy = through(sluice, app, verdict, on_error="closed:503")
    assert client(proxy).request(fields=[("X-Test", "b")]).status == 503
    assert app.requests == []
    proxy.wait_log(r"\bv\b")


def test_on_error_open_goes_on_without_the_plugin(sluice, origin, client, verdict):
    app = origin(serve(reply()))
    c = client(through(sluice, app, verdict, on_error="open"))
    assert c.request(fields=[("X-Test", "7")]).status == 200
    assert c.request(fields=[("X-Test", "b")]).status == 200
    assert [r.get("x-bad") for r in app.requests] == [None, None]


def test_the_manifest_of_a_test_is_good(tmp_path):
    """The harness's own manifest, so that a fault of it is not looked for elsewhere."""
    path = tmp_path / "m.json"
    path.write_text(json.dumps(manifest("127.0.0.1:1", "127.0.0.1:2", **headers())))
    done = harness.run("check", "--manifest", str(path))
    assert (done.returncode, done.stderr) == (0, "")
