"""A server of the standard library around a package of the workspace."""

import os
from wsgiref.simple_server import make_server

from greeting import text


def app(_environ, start_response):
    start_response("200 OK", [("content-type", "text/plain; charset=utf-8")])
    return [f"{text()}\n".encode()]


with make_server("0.0.0.0", int(os.environ["PORT"]), app) as server:
    server.serve_forever()
