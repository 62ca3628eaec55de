"""All benchmarks that need no browser: ``python -m benchmarks``."""

from benchmarks import engine, process, serving

if __name__ == "__main__":
    engine.main()
    process.main()
    serving.main()
