# A worker, and the default environment. From the top of the repository:
#   docker build -f deploy/worker.Dockerfile -t evalpool-worker:0.1.0 .
# Bases by digest, as in api.Dockerfile.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
COPY . /opt/evalpool/src
WORKDIR /opt/evalpool/src
RUN python3 -m evalctl.bootstrap /opt/evalpool --environment
RUN /opt/evalpool/venv/bin/python -m compileall -q -j 0 /opt/evalpool/venv/lib /opt/evalpool/src

FROM ${PYTHON_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends libseccomp2 strace && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/evalpool /opt/evalpool
ENV PATH=/opt/evalpool/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
ENV EVAL_STATE_DIR=/var/lib/evalpool EVAL_METRICS_HOST=0.0.0.0 EVAL_METRICS_PORT=9100
EXPOSE 9100
# Root, with two capabilities: cells get uids of their own (docs/deploy.md). It needs no other, and runs as an ordinary
# user too, who has but one uid to give.
ENTRYPOINT ["evalctl"]
CMD ["worker"]
