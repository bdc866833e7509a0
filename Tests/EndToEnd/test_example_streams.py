"""What `examples/grpc` and `examples/websocket` hold does what their pages say."""
import re
import subprocess
import sys

import pytest

from test_example_tls import Example


@pytest.fixture
def example(tmp_path):
    made, running = [], []

    def make(name):
        one = Example(name, tmp_path)
        made.append(one)
        one.make_certificates()
        # The interpreter that has the packages.
        process = subprocess.Popen([sys.executable, "server.py"], cwd=one.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout.readline() == b"serving\n"
        one.serve("sluice.json5")
        return one

    yield make
    for one in made:
        one.close()
    for process in running:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("name,count", [("grpc", 5), ("websocket", 2)])
def test_the_page_shows_what_comes(example, name, count):
    one = example(name)
    run = [line.strip() for block in one.blocks() for line in block.splitlines()]
    assert "python3 server.py" in run and "sluice run --manifest sluice.json5" in run
    asked = list(one.asked())
    assert len(asked) == count
    for command, shown in asked:
        command = re.sub(r"^python3 ", sys.executable + " ", command)
        done = one.run(command.replace("curl ", "curl -sS ", 1))
        assert done.stdout == shown, "%s\n%s" % (command, done.stderr)
