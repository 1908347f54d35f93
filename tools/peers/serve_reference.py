"""The reference program with its model kept loaded: one request after another, librosa, matplotlib, JPEG, PIL, float32."""

from __future__ import annotations

import json
import os
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer

from listening import load_network

from app.cli.bench.reference import reference_pictures, reference_probabilities, reference_samples

_NETWORK, _ = load_network()


class Listening(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        [part] = BytesParser().parsebytes(head + body).get_payload()
        content = part.get_payload(decode=True)
        rows = reference_probabilities(_NETWORK, reference_pictures(reference_samples(content)))
        answer = json.dumps({"probabilities": rows.mean(axis=0).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    request_queue_size = 64


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["EARMARK_PEER_PORT"])), Listening).serve_forever()
