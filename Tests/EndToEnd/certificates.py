"""Certificates for tests, made by the `openssl` command."""
import os
import ssl
import subprocess


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True)


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="Test CA"):
        self.folder = str(folder)
        self.path = self.file("ca.pem")
        self.key = self.file("ca.key")
        self.made = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", "/CN=" + name, "-keyout", self.key, "-out", self.path)

    def file(self, name):
        return os.path.join(self.folder, name)

    def issue(self, *names, kind="ec", days=2, subject=None):
        """A certificate for `names` ("example.com", "*.example.com", "IP:127.0.0.1"); `subject`
        as in `openssl req -subj`."""
        self.made += 1
        base = self.file("leaf%d" % self.made)
        extensions = base + ".ext"
        entries = [n if n.startswith("IP:") else "DNS:" + n for n in names]
        with open(extensions, "w") as file:
            file.write("subjectAltName=%s\n" % ",".join(entries))
        how = (["-newkey", "rsa:2048"] if kind == "rsa" else
               ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("req", *how, "-nodes", "-subj", subject or "/O=Tests/CN=" + names[0],
                "-keyout", base + ".key", "-out", base + ".csr")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.path, "-CAkey", self.key,
                "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                "-out", base + ".pem")
        os.chmod(base + ".key", 0o600)
        return Leaf(base + ".pem", base + ".key")

    def staple(self, leaf, status="good", days=2):
        """The DER of an OCSP response about a certificate, signed by this authority; a negative
        number of `days` makes one that is out of date."""
        text = openssl("x509", "-in", leaf.certificate, "-noout", "-serial").stdout.decode()
        index, request = self.file("index.txt"), self.file("ocsp.request")
        mark, revoked = ("V", "") if status == "good" else ("R", "200101000000Z")
        with open(index, "w") as file:
            file.write("%s\t491231235959Z\t%s\t%s\tunknown\t/CN=leaf\n" % (
                mark, revoked, text.strip().split("=")[1]))
        openssl("ocsp", "-issuer", self.path, "-cert", leaf.certificate, "-no_nonce",
                "-reqout", request)
        out = leaf.certificate + "." + status + ".der"
        openssl("ocsp", "-index", index, "-CA", self.path, "-rsigner", self.path,
                "-rkey", self.key, "-reqin", request, "-ndays", str(days), "-respout", out)
        return out

    def client_context(self, leaf=None, alpn=None, verify=True):
        context = ssl.create_default_context(cafile=self.path)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if leaf:
            context.load_cert_chain(leaf.certificate, leaf.key)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def server_context(self, leaf, clients=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.certificate, leaf.key)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Leaf:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    @property
    def entry(self):
        """As in a manifest's list of certificates."""
        return {"certificate": self.certificate, "key": self.key}

    @property
    def fingerprint(self):
        text = openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256")
        return text.stdout.decode().strip().split("=")[1].replace(":", "").lower()
