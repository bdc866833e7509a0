"""examples/hot-swap, and what docs/swap.md prints of it."""
import os
import re
import shlex

import pytest

import harness
from test_examples import again, build
from wire import Client


class Session(harness.Sluice):
    """The example's manifest, served in a copy of its folder."""

    def __init__(self, folder):
        headers = os.path.join(harness.ROOT, "SDK/Sources/CSluice/include")
        self.folder = build(folder, "hot-swap", "make", "INCLUDE=" + headers)
        path = self.folder / "sluice.json5"
        text = path.read_text().replace('":8080"', '"127.0.0.1:0"')
        assert "127.0.0.1:0" in text
        path.write_text(text)
        serving = 'cd %s && exec "$0" run' % shlex.quote(str(self.folder))
        super().__init__(folder, {}, prefix=("sh", "-c", serving))

    def visit(self):
        c = Client(self.address)
        answer = c.request()
        c.close()
        return answer.status, answer.body.decode()

    def command(self, *words):
        done = harness.run(*words, cwd=str(self.folder))
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def session(tmp_path):
    session = Session(tmp_path)
    yield session
    session.close()


def said(number, version):
    return 200, "visit %d, by version %s\n" % (number, version)


def test_the_session_of_the_guide(session):
    s = session
    assert [s.visit() for _ in range(3)] == [said(n, "1.0.0") for n in (1, 2, 3)]
    code, text = s.command("plugin", "swap", "visits", ".build/libvisits-1.1.0.so")
    assert code == 0 and "generation: 2\n" in text and "switched: yes" in text
    assert re.search(r"  ~ plugins\.visits: library \w{12} -> \w{12}", text)
    assert s.visit() == said(4, "1.1.0")

    code, text = s.command("plugin", "swap", "--canary", "20%", "--error-budget", "5%", "visits",
                           ".build/libvisits-1.2.0-broken.so")
    assert code == 0 and "share percent: 20.0" in text
    count, failures = 4, 0
    while "is rolled back" not in s.log:
        status, _ = s.visit()
        assert status in (200, 500)
        count, failures = count + 1, failures + (status == 500)
        assert count < 5000
    assert failures >= 10
    s.wait_log("generation 3 is gone")
    assert "last canary: visits: rolled back: " in s.command("status")[1]
    # The canary's are among them.
    assert s.visit() == said(count + 1, "1.1.0")

    code, text = s.command("plugin", "swap", "visits", "sluice.json5")
    assert code == 1 and "not a shared library (no ELF header)" in text
    code, text = s.command("reload", "--dry-run")
    assert code == 0 and "switched: no" in text and "~ plugins.visits: library" in text
    assert s.visit() == said(count + 2, "1.1.0")
    code, text = s.command("reload")
    assert code == 0 and "generation: 4\n" in text
    assert s.visit() == said(count + 3, "1.0.0")
