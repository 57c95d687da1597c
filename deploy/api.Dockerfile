# The API and the coordinators of batches. From the top of the repository:
#   docker build -f deploy/api.Dockerfile -t evalpool-api:0.1.0 .
# To get the same tomorrow, name the base by its digest: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
COPY . /opt/evalpool/src
WORKDIR /opt/evalpool/src
RUN python3 -m evalctl.bootstrap /opt/evalpool
# The file system is read-only where this runs: bytecode that is missing now is made again at every start.
RUN /opt/evalpool/venv/bin/python -m compileall -q -j 0 /opt/evalpool/venv/lib /opt/evalpool/src

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/evalpool /opt/evalpool
ENV PATH=/opt/evalpool/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 EVAL_HOST=0.0.0.0
EXPOSE 8000
# Nobody in particular: it writes nothing.
USER 10001:10001
ENTRYPOINT ["evalctl"]
CMD ["api"]
