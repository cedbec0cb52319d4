# One image for the server and the worker. Stages: the page, the locked Python environment, and what runs.
FROM node:22-bookworm-slim AS page
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY web/ ./
RUN npm run build

FROM python:3.11-slim-bookworm AS environment
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/throttlecove
# First what the lock file names, which changes rarely; then ourselves.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project
COPY domain ./domain
COPY geo ./geo
COPY realtime ./realtime
COPY rest ./rest
COPY server ./server
COPY workers ./workers
RUN uv sync --locked --no-dev --no-editable

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin throttlecove
WORKDIR /app
COPY --from=environment /opt/throttlecove /opt/throttlecove
COPY --from=page /web/dist ./web/dist
ENV PATH=/opt/throttlecove/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 THROTTLECOVE_LOG_FORMAT=json \
    THROTTLECOVE_WEB_DIRECTORY=/app/web/dist
USER throttlecove
EXPOSE 8000
# A node answers SIGTERM by sending its riders elsewhere; give it more than its 10 seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["python", "-m", "server"]
CMD ["run", "--host", "0.0.0.0", "--port", "8000"]
