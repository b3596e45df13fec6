"""What the app says."""


def text() -> str:
    return "Hello from a uv workspace"


def main() -> None:
    print(text())
