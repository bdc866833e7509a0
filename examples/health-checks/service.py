"""A service that says who it is, and can be told to be unwell.

    python3 service.py PORT

GET /health answers 200, or 503 after POST /sick; POST /well makes it well again.
"""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(sys.argv[1])
state = {"well": True}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200 if state["well"] else 503, "well\n" if state["well"] else "sick\n")
        else:
            self.answer(200, "%d\n" % PORT)

    def do_POST(self):
        state["well"] = self.path != "/sick"
        self.answer(200, "noted\n")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
