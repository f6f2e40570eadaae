"""`helm test`: a client and a Pipeline of one job, run to its end by the operator of this release.

Standard library only; talks to the API server with the token of the pod. Exit code 0 when the Pipeline is DONE.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
GROUP = "/apis/taskpipeline.dev/v1alpha1/namespaces"
OWN, PLACE, NAME = os.environ["OWN_NAMESPACE"], os.environ["TEST_NAMESPACE"], os.environ["TEST_NAME"]
IMAGE, SECONDS = os.environ["TEST_IMAGE"], float(os.environ["TEST_SECONDS"])
CLIENT = f"{GROUP}/{OWN}/pipelineclients"
PIPELINE = f"{GROUP}/{PLACE}/pipelines"


def ask(method, path, body=None, missing=False):
    """The API server's answer; None if `missing` is allowed and the object is not there."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    with open(f"{ACCOUNT}/token", encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://{address}:{port}{path}", data, headers, method=method)
    context = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310 (always https)
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if missing and error.code == 404:
            return None
        sys.exit(f"{method} {path}: {error.code} {error.read(2000).decode(errors='replace')}")


def made(kind, spec):
    """A manifest of our group under the test's name."""
    return {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": kind, "metadata": {"name": NAME}, "spec": spec}


def finished(deadline):
    """The state of the Pipeline once it is over; each new state is told."""
    told = None
    while time.monotonic() < deadline:
        status = ask("GET", f"{PIPELINE}/{NAME}").get("status") or {}
        state = status.get("state")
        if state != told:
            words = (state, status.get("reason"), status.get("message"))
            print(f"Pipeline {PLACE}/{NAME}:", *(word for word in words if word))
            told = state
        if state in ("DONE", "ERROR", "CANCELLED"):
            return state
        time.sleep(0.5)
    sys.exit(f"Pipeline {PLACE}/{NAME} is not over after {SECONDS:g} s; look at the operator's log")


def clear():
    """Remove what a test has made."""
    ask("DELETE", f"{PIPELINE}/{NAME}", missing=True)
    ask("DELETE", f"{CLIENT}/{NAME}", missing=True)


def main():
    """Run the test."""
    clear()
    job = {"name": "hello", "stage": "say", "kind": "Shell", "version": "1.0.0"}
    job["params"] = {"image": IMAGE, "script": "echo hello"}
    deadline = time.monotonic() + SECONDS
    ask("POST", CLIENT, made("PipelineClient", {"namespaces": [PLACE]}))
    ask("POST", PIPELINE, made("Pipeline", {"clientId": NAME, "stages": ["say"], "jobs": [job]}))
    state = finished(deadline)
    clear()
    sys.exit(0 if state == "DONE" else 1)


main()
