# docker build -t planner .                              the app, on port 8501
# docker build -t planner-validation --target validation .   kernels against predictions, on a GPU

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 planner
WORKDIR /srv/planner
COPY requirements.txt ./
RUN python -m pip install -r requirements.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY planner planner
COPY validation validation
COPY hardware_specs hardware_specs
COPY models_catalog models_catalog
RUN python -m pip install --no-deps --editable .

FROM base AS validation
# Triton compiles a small launcher for each kernel with the C compiler it finds.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-validation.txt ./
RUN python -m pip install -r requirements-validation.txt
USER planner
ENTRYPOINT ["python", "-m", "validation"]
CMD ["list"]

FROM base AS app
COPY .streamlit .streamlit
COPY app.py ./
USER planner
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
# With its own address named, Streamlit does not ask the internet for one.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--browser.serverAddress=localhost"]
