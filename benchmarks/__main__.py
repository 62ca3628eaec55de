"""All benchmarks that need no browser: ``python -m benchmarks``."""

from benchmarks import engine, process

if __name__ == "__main__":
    engine.main()
    process.main()
