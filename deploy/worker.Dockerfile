# A worker with the default environment. From the top of the repository:
#   docker build -f deploy/worker.Dockerfile -t evalpool-worker:0.1.0 .
# Programs run in another image: --build-arg EVAL_IMAGE=python:3. Bases by digest, as in api.Dockerfile.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG EVAL_IMAGE=

FROM ${PYTHON_IMAGE} AS build
COPY . /opt/evalpool/src
WORKDIR /opt/evalpool/src
RUN python3 -m evalctl.bootstrap /opt/evalpool --environment && ln -sfn /opt/evalpool/environments/default-* /opt/evalpool/environment
# The file system is read-only where this runs: bytecode that is missing now is made again at every start.
RUN /opt/evalpool/venv/bin/python -m compileall -q -j 0 /opt/evalpool/venv/lib /opt/evalpool/src

FROM ${PYTHON_IMAGE} AS worker
RUN apt-get update && apt-get install -y --no-install-recommends libseccomp2 strace && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/evalpool /opt/evalpool
ENV PATH=/opt/evalpool/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
ENV EVAL_ENVIRONMENT_ROOT=/opt/evalpool/environment EVAL_ENVIRONMENTS_FILE=/opt/evalpool/environments.toml
ENV EVAL_STATE_DIR=/var/lib/evalpool EVAL_METRICS_HOST=0.0.0.0 EVAL_METRICS_PORT=9100
EXPOSE 9100
# Root, with two capabilities, so that cells get uids of their own. It runs as an ordinary user too, who has but one to
# give (docs/privileges.md).
USER 0:0
ENTRYPOINT ["evalctl"]
CMD ["worker"]

FROM ${EVAL_IMAGE:-scratch} AS environment

# Its files are the root that programs see. What its configuration says (variables, folder) goes into environments.toml.
FROM worker AS worker-of-image
COPY --from=environment / /opt/evalpool/root
RUN printf '[default]\ndirectory = "root"\n' > /opt/evalpool/environments.toml

FROM worker${EVAL_IMAGE:+-of-image}
