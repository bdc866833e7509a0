"""Files of the access log: modes, rotation, a full disk; and that stops, reloads and upgrades lose no
line."""
import json
import os
import shutil
import signal
import stat
import subprocess
import threading

import pytest

import harness
import reloading
from accesslog import ask, lines_of, logging, wait_lines
from harness import eventually, serve
from wire import Client, reply

# ---------------------------------------------------------------- Files
def test_a_new_file_has_its_mode_whatever_the_umask(sluice, origin, tmp_path):
    old = os.umask(0)
    try:
        path = str(tmp_path / "access.log")
        proxy = sluice(origin(serve(reply())), **logging({"file": path}))
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        ask(proxy)
        wait_lines(path, 1)
        proxy.stop()
        os.umask(0o077)
        other = str(tmp_path / "other.log")
        sluice(origin(serve(reply())), **logging({"file": other, "mode": "0644"}))
        assert stat.S_IMODE(os.stat(other).st_mode) == 0o644
    finally:
        os.umask(old)


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize("how", ["signal", "admin"])
def test_it_goes_on_in_a_new_file_when_told_to(sluice, origin, tmp_path, supervised, how):
    path = str(tmp_path / "access.log")
    admin = str(tmp_path / "admin.sock")
    proxy = sluice(origin(serve(reply())), supervised=supervised, admin={"listen": "unix:" + admin},
                   **logging({"file": path}, flush="60s"))
    ask(proxy, 3)
    os.rename(path, path + ".1")
    if how == "signal":
        proxy.process.send_signal(signal.SIGUSR1)
    else:
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", admin, "-X", "POST", "http://a/v1/reopen_logs"],
            capture_output=True, text=True, timeout=30)
        assert "reopened" in done.stdout, done
    # Told to open it again, it does not wait for `flush`.
    eventually(lambda: os.path.exists(path), "the new file")
    ask(proxy, 2)
    proxy.stop()
    # The line of the third may have come before the new file or after it.
    old, new = lines_of(path + ".1"), lines_of(path)
    assert len(old) + len(new) == 5 and len(new) >= 2


def test_it_notices_by_itself_that_the_file_was_moved(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), **logging({"file": path}))
    ask(proxy)
    wait_lines(path, 1)
    os.rename(path, path + ".1")
    ask(proxy)
    wait_lines(path, 1)
    os.remove(path)
    ask(proxy)
    wait_lines(path, 1)
    assert len(lines_of(path + ".1")) == 1


def rotate_under_load(proxy, client_count, requests, rotate):
    """Asks from several threads while `rotate` is called again and again."""
    done = threading.Event()

    def work():
        ask(proxy, requests)

    threads = [threading.Thread(target=work) for _ in range(client_count)]
    for thread in threads:
        thread.start()
    turns = 0
    while any(thread.is_alive() for thread in threads):
        rotate(turns)
        turns += 1
        done.wait(0.05)
    for thread in threads:
        thread.join()
    return client_count * requests


def test_rotation_loses_nothing(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), workers=2,
                   **logging({"file": path}, fields=["connection", "connection_requests"]))

    def rotate(turn):
        if os.path.exists(path):
            os.rename(path, "%s.%d" % (path, turn))
        if turn % 2:
            proxy.process.send_signal(signal.SIGUSR1)

    asked = rotate_under_load(proxy, 4, 500, rotate)
    proxy.stop()
    seen = []
    for name in os.listdir(tmp_path):
        if name.startswith("access.log"):
            seen += [tuple(json.loads(line).values()) for line in lines_of(str(tmp_path / name))]
    assert len(seen) == asked and len(set(seen)) == asked


@pytest.mark.skipif(not shutil.which("logrotate"), reason="logrotate is not installed")
@pytest.mark.parametrize("options", ["create", "copytruncate"])
def test_logrotate(sluice, origin, tmp_path, options):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), **logging({"file": path}, fields=["status"]))
    config = tmp_path / "logrotate.conf"
    script = "postrotate\nkill -USR1 %d\nendscript\n" % proxy.process.pid
    config.write_text("%s {\nrotate 5\n%s\n%s}\n" % (
        path, options, script if options == "create" else ""))
    os.chmod(config, 0o644)
    os.chmod(tmp_path, 0o755)
    count = 0
    for _ in range(3):
        ask(proxy, 10)
        count += 10
        # What copytruncate takes away while lines are written is its own race: here none is.
        eventually(lambda: sum(len(lines_of(str(tmp_path / name))) for name in os.listdir(tmp_path)
                               if name.startswith("access.log")) == count, "all lines")
        subprocess.run(["logrotate", "-f", "-s", str(tmp_path / "state"), str(config)], check=True,
                       timeout=30)
    ask(proxy, 10)
    proxy.stop()
    found = {name: len(lines_of(str(tmp_path / name))) for name in os.listdir(tmp_path)
             if name.startswith("access.log")}
    assert found == {"access.log": 10, "access.log.1": 10, "access.log.2": 10, "access.log.3": 10}


def test_a_full_disk_stops_no_request(sluice, origin, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        path = str(disk / "access.log")
        proxy = sluice(origin(serve(reply())), **logging(
            {"file": path}, fields=["http_user_agent"], line_max="32KiB"))
        for _ in range(40):
            assert ask(proxy, fields=[("User-Agent", "a" * 7000)]).status == 200
        proxy.wait_log("No space left on device")
        # There is room again: what waited is written, and no line twice or in part.
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        lines = wait_lines(path, 40)
        assert {len(json.loads(line)["http_user_agent"]) for line in lines} == {7000}
        proxy.stop()
    finally:
        subprocess.run(["umount", "-l", str(disk)])


# ---------------------------------------------------------------- Stops, reloads, swaps, upgrades
def test_term_loses_no_line(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), workers=2, **logging({"file": path}, flush="60s"))
    ask(proxy, 100)
    ask(proxy, 100)
    assert proxy.stop() == 0
    assert len(lines_of(path)) == 200


def test_reloads_lose_no_line(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    # With room for what comes while the machine does something else.
    proxy = sluice(origin(serve(reply())), workers=2, **logging(
        {"file": path}, flush="60s", buffer="16MiB"))
    done = threading.Event()
    counts = []

    def work():
        count = 0
        client = Client(proxy.address)
        while not done.is_set():
            answer = client.request()
            assert answer.status == 200
            count += 1
            if answer.closes:
                client.close()
                client = Client(proxy.address)
        client.close()
        counts.append(count)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(5):
        manifest = reloading.manifest_of(proxy)
        # Another instance takes the place of the one that is.
        manifest["plugins"]["log"]["config"]["flush"] = "%ds" % (59 - turn)
        reloading.reload(proxy, manifest)
    done.set()
    for thread in threads:
        thread.join()
    proxy.stop()
    assert len(lines_of(path)) == sum(counts), proxy.log[-3000:]


def test_an_upgrade_loses_no_line(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    proxy = sluice(origin(serve(reply())), **logging({"file": path}, fields=["pid"], flush="60s"))
    first = proxy.serving
    ask(proxy, 50)
    proxy.process.send_signal(signal.SIGUSR2)
    eventually(lambda: proxy.processes and first not in proxy.processes, "the new process")
    ask(proxy, 50)
    proxy.stop()
    pids = [json.loads(line)["pid"] for line in lines_of(path)]
    assert len(pids) == 100 and len(set(pids)) == 2


def test_a_swap_loses_no_line(sluice, origin, tmp_path):
    path = str(tmp_path / "access.log")
    other = str(tmp_path / "libOther.so")
    # The same plugin, by its bytes another file.
    shutil.copy(os.path.join(harness.PLUGINS, "libAccessLog.so"), other)
    with open(other, "ab") as file:
        file.write(b"\0")
    proxy = sluice(origin(serve(reply())), admin={"listen": "unix:" + str(tmp_path / "admin")},
                   **logging({"file": path}, flush="60s", buffer="16MiB"))
    ask(proxy, 50)
    client = Client(proxy.address)
    client.request()
    done = harness.run("plugin", "swap", "log", other, "--manifest", proxy.path)
    assert done.returncode == 0, done.stderr
    client.request()
    client.close()
    ask(proxy, 50)
    proxy.stop()
    assert len(lines_of(path)) == 102
