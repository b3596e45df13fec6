"""Answers with the versions of what it runs on."""

import os
import platform
from importlib.metadata import version

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    return jsonify(
        message="Hello from Flask",
        python=platform.python_version(),
        flask=version("flask"),
        workers=os.environ.get("WEB_CONCURRENCY"),
        unbuffered=os.environ.get("PYTHONUNBUFFERED"),
    )
